//! A process under test: it tells its address on standard output and its CPU time when asked, and ends with its parent.

use axum::Router;
use axum::routing::get;
use cpu_time::ProcessTime;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;

/// A child that serves HTTP.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Served {
    /// Starts this program again with other arguments.
    pub(crate) fn start(args: &[&str]) -> Result<Self, String> {
        Self::start_with(args, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|why| why.to_string())?;
        let mut child = Command::new(program)
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| format!("the process under test did not start: {why}"))?;
        let mut line = String::new();
        let told = child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        match told {
            Some(Ok(read)) if read > 0 => Ok(Self { child, url: line.trim().to_owned(), http: reqwest::Client::new() }),
            _ => Err("the process under test ended before it served".to_owned()),
        }
    }

    /// CPU time the child has used, user and system.
    pub(crate) async fn cpu(&self) -> Result<Duration, String> {
        let answer = self.http.get(format!("{}/cpu", self.url)).send().await.map_err(|why| why.to_string())?;
        let text = answer.text().await.map_err(|why| why.to_string())?;
        text.parse().map(Duration::from_nanos).map_err(|why| format!("CPU time `{text}`: {why}"))
    }

    /// The most memory the child ever had resident, in KiB, where the system tells (Linux).
    pub(crate) fn peak_memory(&self) -> Result<u64, String> {
        let status = format!("/proc/{}/status", self.child.id());
        let text =
            std::fs::read_to_string(status).map_err(|why| format!("this system does not tell of memory: {why}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| "this system does not tell of a process's peak".to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It also ends by itself when its standard input closes; either way nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves `app` with `/cpu` beside it until standard input closes.
pub(crate) async fn serve(app: Router) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|why| why.to_string())?;
    let address = listener.local_addr().map_err(|why| why.to_string())?;
    // `/cpu` is outside of what is measured: a router around the one under test.
    let app = Router::new().route("/cpu", get(cpu)).fallback_service(app);
    println!("http://{address}");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    axum::serve(listener, app).await.map_err(|why| why.to_string())
}

async fn cpu() -> String {
    ProcessTime::now().as_duration().as_nanos().to_string()
}
