// Signs every vector with the lines of the guide (docs/guides/access.md) and compares.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	var vectors struct {
		ID, Key string
		Links   []struct {
			Until    int64
			Sub, Sig string
			Topics   []string
		}
	}
	file, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(file, &vectors)
	}
	if err != nil {
		panic(err)
	}
	id, key := vectors.ID, vectors.Key
	for _, link := range vectors.Links {
		until, sub, topics := link.Until, link.Sub, link.Topics
		text := append([]string{"tidings-link-v1", strconv.FormatInt(until, 10), sub}, topics...)
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(strings.Join(text, "\n")))
		sig := id + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		if sig != link.Sig {
			panic(sig + " is not " + link.Sig)
		}
	}
	fmt.Println("go:", len(vectors.Links), "links")
}
