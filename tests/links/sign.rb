# Signs every vector with the lines of the guide (docs/guides/access.md) and compares.
require "base64"
require "json"
require "openssl"

vectors = JSON.parse(File.read(File.join(__dir__, "vectors.json"), encoding: "UTF-8"))
id, key = vectors["id"], vectors["key"]
vectors["links"].each do |link|
  till, sub, topics = link["until"], link["sub"], link["topics"]
  text = ["tidings-link-v1", till.to_s, sub, *topics].join("\n")
  mac = OpenSSL::HMAC.digest("SHA256", key, text)
  sig = id + "." + Base64.urlsafe_encode64(mac, padding: false)
  raise "#{sig} is not #{link["sig"]}" if sig != link["sig"]
end
puts "ruby: #{vectors["links"].length} links"
