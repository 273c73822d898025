//! The hub as a person meets it: the real program, and the real `curl`.

use crate::world;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::world::{Folder, Hub, Process, run, said, text, tidings};

#[test]
fn the_three_commands_of_the_readme_do_what_it_says() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let data = folder.path().join("data");
    let promise = "1 GiB, 7 days, every event on disk before it is acknowledged";
    assert_eq!(hub.history, format!("history in {} ({promise})", data.display()));

    let mut listener = hub.listen(&[], "/events/hello");
    assert_eq!(listener.line(), "event: tidings.open");
    let start = listener.line_with("id: ");
    listener.line_with("retry: ");
    let id = hub.publish("hello", "world");
    assert_eq!(listener.line_with("id: "), format!("id: {id}"));
    assert_eq!(listener.line(), "data: world");
    let epoch = start.strip_prefix("id: ").unwrap().split(':').next().unwrap();
    assert_eq!(id, format!("{epoch}:1"));
}

#[test]
fn what_was_missed_while_the_hub_was_killed_and_started_again_arrives_once_and_in_order() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let ids: Vec<_> = ["one", "two", "three"].map(|data| hub.publish("t", data)).into();
    hub.process.kill();

    let hub = Hub::serve(&folder, &[]);
    let mut listener = hub.listen(&["-H", &format!("Last-Event-ID: {}", ids[0])], "/events/t");
    assert_eq!(listener.values("data: ", 2), ["two", "three"]);
    hub.publish("t", "four");
    assert_eq!(listener.values("data: ", 1), ["four"]);
}

#[test]
fn a_history_that_was_wiped_is_not_taken_for_the_old_one() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let id = hub.publish("t", "one");
    hub.process.kill();
    fs::remove_dir_all(folder.path().join("data")).unwrap();

    let hub = Hub::serve(&folder, &[]);
    let mut listener = hub.listen(&["-H", &format!("Last-Event-ID: {id}")], "/events/t");
    assert_eq!(listener.line_with("event: "), "event: tidings.open");
    assert_eq!(listener.line_with("event: "), "event: tidings.reset");
    let data: serde_json::Value = serde_json::from_str(&listener.values("data: ", 1)[0]).unwrap();
    assert_eq!((&data["reason"], &data["requested"]), (&"replaced".into(), &id.into()));
}

#[test]
fn lines_of_a_pipe_reach_a_watcher_as_they_are_written() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    // With a start in the past, it does not matter which of the two is there first.
    let words = ["subscribe", "host/*", "--json", "--since", "1h"];
    let mut watcher = Process::spawn(&mut hub.command(&words));
    let mut publish = hub.command(&["publish", "host/x", "-", "--event", "stat"]);
    let mut publisher = Process::spawn(publish.stdin(Stdio::piped()));
    for line in ["first", "", "third \"line\""] {
        publisher.write(&format!("{line}\n"));
        // Without a pause the next line is written only when this one has arrived.
        let event: serde_json::Value = serde_json::from_str(&watcher.line()).unwrap();
        assert_eq!((&event["event"], &event["data"]), (&"stat".into(), &line.into()));
    }
    publisher.write("no line feed");
    publisher.close_stdin();
    assert!(watcher.line().contains("no line feed"));
    assert!(publisher.wait().success());
}

#[test]
fn a_pipe_goes_on_when_the_hub_is_back_and_publishes_nothing_twice() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let address = hub.address.clone();
    let mut publish = hub.command(&["publish", "t", "-"]);
    let mut publisher = Process::spawn(publish.stdin(Stdio::piped()));
    publisher.write("1\n2\n");
    let history = |hub: &Hub| -> Vec<String> {
        let page = hub.curl(&["-H", "Accept: application/json"], "/events/t?last=100");
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["data"].as_str().unwrap().to_owned()).collect()
    };
    world::eventually(|| history(&hub) == ["1", "2"]);
    // So that it knows the hub: then it waits for it.
    std::thread::sleep(Duration::from_millis(500));
    hub.process.kill();
    publisher.write("3\n4\n");

    let mut command = tidings();
    command.args(["serve", "--data"]).arg(folder.path().join("data"));
    command.args(["--listen", &address, "--log", "off"]).stdout(Stdio::piped());
    let mut process = Process::new(command.spawn().unwrap());
    process.line();
    let history_line = process.line();
    let hub = Hub { process, scheme: "http".to_owned(), address, history: history_line };
    publisher.write("5\n");
    publisher.close_stdin();
    assert!(publisher.wait().success());
    assert_eq!(history(&hub), ["1", "2", "3", "4", "5"]);
}

#[test]
fn json_lines_may_name_topic_type_and_id() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let mut publish = hub.command(&["publish", "a", "--json"]);
    let mut publisher = Process::spawn(publish.stdin(Stdio::piped()));
    publisher
        .write("{\"data\":\"x\"}\n\n{\"topic\":\"b\",\"event\":\"e\",\"id\":\"7\",\"data\":[1]}\n");
    publisher.write("{\"data\":\"y\",\"tpoic\":\"c\"}\n");
    publisher.close_stdin();
    let output = publisher.output();
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("error: line 4: unknown field `tpoic`"), "{stderr}");
    let words = ["subscribe", "a", "b", "--since", "1h", "-n", "2", "--raw"];
    let (stdout, _, code) = said(&mut hub.command(&words));
    assert_eq!(code, 0);
    assert!(stdout.ends_with("event: e\nid: 7\ndata: [1]\n\n"), "{stdout}");
}

#[test]
fn a_watcher_whose_pipe_is_closed_ends_quietly() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    hub.publish("t", "one");
    hub.publish("t", "two");
    let mut subscribe = hub.command(&["subscribe", "t", "--last", "2"]);
    let mut child = subscribe.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = Process::new(child).output();
    assert_eq!((output.status.code(), text(output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_watcher_of_several_topics_sees_which_one_an_event_is_of() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let id = hub.publish("rooms/1", "one");
    let (text, ..) = said(&mut hub.command(&["subscribe", "rooms/*", "--last", "1", "-n", "1"]));
    assert_eq!(text, format!("{id}  rooms/1  one\n"));
    let words = ["subscribe", "rooms/1", "--last", "1", "-n", "1", "--json"];
    let (json, ..) = said(&mut hub.command(&words));
    let event: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&event["id"], &event["topic"]), (&id.as_str().into(), &"rooms/1".into()));
    assert_eq!((&event["event"], &event["data"]), (&"message".into(), &"one".into()));
    assert!(event["time"].as_str().unwrap().ends_with('Z'));
    // What programs pass on stays as it was sent.
    let (raw, ..) =
        said(&mut hub.command(&["subscribe", "rooms/*", "--last", "1", "-n", "1", "--raw"]));
    assert_eq!(raw, format!("id: {id}\ndata: one\n\n"));
}

#[test]
fn a_topic_that_ends_ends_its_watcher() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--retry", "100ms"]);
    hub.publish("t", "one");
    let mut watcher = Process::spawn(&mut hub.command(&["subscribe", "t", "--last", "1"]));
    assert!(watcher.line().ends_with("  one"));
    hub.curl(&["-X", "DELETE"], "/events/t");
    assert!(watcher.line().contains("  end  "));
    assert_eq!(watcher.wait().code(), Some(0));
}

#[test]
fn the_demo_counts_and_tells_the_time() {
    let folder = Folder::new();
    let mut demo = tidings();
    let hub = Hub::start(demo.args(["demo", "--log", "off"]).current_dir(folder.path()));
    let mut counter = hub.listen(&["-H", "Origin: http://page.example", "-i"], "/events/counter");
    assert_eq!(counter.line_with("access-control-allow-origin"), "access-control-allow-origin: *");
    counter.line_with("data: Connected to server");
    // Whoever came while the demo began may be greeted twice.
    let numbers: Vec<u64> =
        counter.values("data: Message ", 2).iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(numbers[1], numbers[0] + 1);

    let mut clock = hub.listen(&[], "/events/clock");
    assert_eq!(clock.line_with("event: "), "event: tidings.open");
    assert_eq!(clock.line_with("event: "), "event: connecttime");
    let dates = clock.values("data: ", 2);
    assert!(dates.iter().all(|date| date.ends_with(" GMT")), "{dates:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing behind");
}

#[test]
fn a_hub_with_keys_lets_in_who_has_one_and_says_why_to_others() {
    let folder = Folder::new();
    let secret = folder.file("secret", "a secret of thirty-two bytes or more\n");
    let config = "jwt-secret-file = \"secret\"\n[[keys]]\nname = \"sensor\"\n\
                  key = \"0123456789abcdef\"\npublish = [\"s/*\"]\n";
    let config = folder.file("hub.toml", config);
    let hub = Hub::serve(&folder, &["--config", config.to_str().unwrap()]);

    let mut mint = tidings();
    mint.args(["token", "--subscribe", "s/**", "--expires", "1h", "--secret-file"]).arg(&secret);
    let (token, stderr, code) = said(&mut mint);
    assert_eq!((stderr.as_str(), code), ("", 0));
    let mut mint = tidings();
    let (other, ..) = said(mint.args(["token", "--subscribe", "s/**", "--config"]).arg(&config));
    assert_eq!(token.matches('.').count(), 2, "{token}");
    assert_eq!(other.split('.').next(), token.split('.').next());

    let mut publish = hub.command(&["publish", "s/1", "20.5", "--token", "0123456789abcdef"]);
    assert_eq!(said(&mut publish).2, 0);
    let mut subscribe = hub.command(&["subscribe", "s/1", "--last", "1", "-n", "1"]);
    let (stdout, ..) = said(subscribe.env("TIDINGS_TOKEN", token.trim()));
    assert!(stdout.ends_with("  20.5\n"), "{stdout}");

    let (_, stderr, code) = said(&mut hub.command(&["publish", "s/1", "x"]));
    assert_eq!(code, 5);
    assert!(stderr.contains("401") && stderr.contains("hint: give a token"), "{stderr}");
    let (_, stderr, code) =
        said(hub.command(&["subscribe", "t"]).env("TIDINGS_TOKEN", token.trim()));
    assert_eq!(code, 5);
    assert!(stderr.contains("403"), "{stderr}");
}

#[test]
fn a_hub_without_subscribers_leaves_at_once_and_with_them_says_goodbye() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &["--drain-window", "300ms"]);
    let mut listener = hub.listen(&[], "/events/t");
    listener.line_with("id: ");
    hub.process.signal("TERM");
    assert_eq!(listener.wait().code(), Some(18), "curl sees that the stream was cut");
    assert_eq!(hub.process.wait().code(), Some(0));

    let mut hub = Hub::serve(&folder, &["--drain-window", "1h", "--max-drain", "2h"]);
    hub.publish("t", "one");
    hub.process.signal("INT");
    assert_eq!(hub.process.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_a_hub_that_is_leaving() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &["--drain-window", "1h", "--max-drain", "2h"]);
    let mut listener = hub.listen(&[], "/events/t");
    listener.line_with("id: ");
    hub.process.signal("TERM");
    world::eventually(|| {
        let mut curl = std::process::Command::new("curl");
        !run(curl.args(["-s", &hub.url("/healthz")])).status.success()
    });
    hub.process.signal("TERM");
    assert_eq!(hub.process.wait().code(), Some(130));
}

#[test]
fn trace_says_why_a_subscriber_did_not_get_an_event() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let mut listener = hub.listen(&["-i"], "/events/orders/*");
    let name = listener.line_with("tidings-connection: ");
    let name = name.trim().strip_prefix("tidings-connection: ").unwrap().to_owned();
    let wanted = hub.publish("orders/7", "1");
    listener.line_with("data: ");
    let unwanted = hub.publish("news", "2");
    let trace = |event: &str| said(&mut hub.command(&["trace", &name, "--event", event]));
    world::eventually(|| trace(&wanted).0.contains(": the event was written to the connection"));
    let (text, stderr, code) = trace(&unwanted);
    assert_eq!((stderr.as_str(), code), ("", 0));
    assert!(text.starts_with(&format!("{name}   live\n")), "{text}");
    assert!(text.contains("not_wanted: none of the event's topics is in the subscription"));
    drop(listener);
    world::eventually(|| trace(&wanted).0.contains("closed: "));
    let (_, stderr, code) = said(&mut hub.command(&["trace", "00000000-0"]));
    assert!(code == 5 && stderr.contains("never existed"), "{stderr}");
}

#[test]
fn a_demo_with_keys_has_a_key_for_its_own_publishers() {
    let folder = Folder::new();
    let key = "a-key-for-the-demo-test";
    let table = format!("[[keys]]\nname = \"me\"\nkey = \"{key}\"\nsubscribe = [\"**\"]\n");
    let config = folder.file("hub.toml", &table);
    let mut demo = tidings();
    demo.args(["demo", "--listen", "127.0.0.1:0", "--log", "warn", "--config"]).arg(config);
    let mut process = Process::spawn(&mut demo);
    let line = process.line_with("listening on ");
    let url = line.trim_start_matches("listening on ").to_owned();
    let status = |words: &[&str]| {
        let form = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"];
        text(run(std::process::Command::new("curl").args(form).args(words)).stdout)
    };
    assert_eq!(status(&[&format!("{url}/stats")]), "401");
    let bearer = format!("Authorization: Bearer {key}");
    let topics = || {
        let words = ["-s", "-H", &bearer, &format!("{url}/topics?prefix=demo/")];
        text(run(std::process::Command::new("curl").args(words)).stdout)
    };
    world::eventually(|| topics().contains("\"demo/prices"));
}

#[test]
fn the_page_of_the_api_has_every_request_of_its_description_and_needs_no_script() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let page = hub.curl(&["--fail"], "/docs/api");
    assert!(page.contains("<title>Tidings: the HTTP API</title>") && !page.contains("<script"));
    let api: serde_json::Value = serde_json::from_str(&hub.curl(&[], "/openapi.json")).unwrap();
    let mut requests = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for method in
            ["get", "post", "put", "delete"].iter().filter(|&&name| item.get(name).is_some())
        {
            let name = format!("<code>{} {path}</code>", method.to_uppercase());
            assert_eq!(page.matches(&format!("{name}</a></li>")).count(), 1, "{name}: in the list");
            assert_eq!(page.matches(&format!("<h2>{name}</h2>")).count(), 1, "{name}: its section");
            requests += 1;
        }
    }
    assert!(requests >= 15, "{requests} requests");
    let console = hub.curl(&[], "/");
    assert!(console.contains("href=\"/docs/api\"") && !console.contains("/openapi.json"));
}
