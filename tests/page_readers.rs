//! Hundreds of people look at one rollout: each is told of it, and commands go on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::operator::Operator;
use crate::harness::page::ask;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

/// People who look at once.
const READERS: usize = 500;
/// Commands whose times are compared.
const COMMANDS: usize = 200;
/// The times of commands in the middle differ by so much at most: other tests share the machine, so that
/// the times of single ones say nothing.
const TIMES: u32 = 3;
/// Times below this one are not told apart.
const FAST: Duration = Duration::from_millis(30);

/// The times in which half of the changing commands, and 99 of 100, are answered.
#[derive(Debug)]
struct Times {
    median: Duration,
    p99: Duration,
}

fn times(server: &Server, round: usize) -> Times {
    let bearer = format!("Bearer {}", server.admin().token);
    let mut times: Vec<Duration> = (0..COMMANDS)
        .map(|n| {
            let began = Instant::now();
            let label = json!({"device": "watched", "set": {"n": format!("{round}-{n}")}});
            let key = format!("r{round}-{n}");
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Idempotency-Key", &key),
            ];
            let line = "POST /api/v1/device-label";
            let answer = ask(server, line, &headers, &label.to_string());
            assert!(answer.body.contains("\"ok\":true"), "{answer:?}");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    Times {
        median: times[COMMANDS / 2],
        p99: times[COMMANDS * 99 / 100 - 1],
    }
}

fn begin(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.http()).unwrap();
    let line = "GET /live/deployments/1 HTTP/1.1";
    let head = format!("{line}\r\nHost: {}\r\n\r\n", server.http());
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Ends the readers, also when the test fails.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes in what all readers are told, until the end, and counts who was told that the rollout is settled.
fn read(mut readers: Vec<TcpStream>, end: &AtomicBool, settled: &AtomicUsize) {
    let mut heard = vec![String::new(); readers.len()];
    let mut part = vec![0; 16_384];
    while !end.load(Ordering::Relaxed) {
        for (reader, heard) in readers.iter_mut().zip(&mut heard) {
            while let Ok(read @ 1..) = reader.read(&mut part) {
                heard.push_str(&String::from_utf8_lossy(&part[..read]));
            }
        }
        let is_told = |heard: &&String| heard.contains("settled");
        settled.store(heard.iter().filter(is_told).count(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn five_hundred_readers_of_a_rollout_are_told_of_it_and_commands_go_on() {
    // bad-inputs row 91
    let server = Server::start();
    let operator = Operator::new(&server);
    let _sim = Sim::start(&server, 60);
    let client = operator.client();
    client.wait_json("hoist/view/group/sim", |view| view["online"] == json!(60));
    client.command_ok("device-add", &json!({"device": "watched"}));
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let alone = times(&server, 1);
    let pace = json!({"spreadSecs": 5});
    operator.deploy("app@1.0.0", "sim", &pace);
    let readers: Vec<TcpStream> = (0..READERS).map(|_| begin(&server)).collect();
    let (end, settled) = (AtomicBool::new(false), AtomicUsize::new(0));
    let watched = std::thread::scope(|scope| {
        let _ends = Ends(&end);
        scope.spawn(|| read(readers, &end, &settled));
        let watched = times(&server, 2);
        operator.settled(1);
        crate::harness::eventually("all readers to be told", || {
            (settled.load(Ordering::Relaxed) == READERS).then_some(())
        });
        watched
    });
    println!("commands: {alone:?} alone, {watched:?} with {READERS} readers of a rollout");
    assert!(watched.p99 < Duration::from_secs(5), "{watched:?}");
    let most = alone.median.max(FAST) * TIMES;
    assert!(watched.median <= most, "{alone:?} and {watched:?}");
}
