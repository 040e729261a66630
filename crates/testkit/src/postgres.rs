//! Throw-away PostgreSQL clusters for tests, from the system's own binaries: in a folder of their own, reached by a socket
//! in it, gone with the process however it ends.
//!
//! ```no_run
//! # fn doc() {
//! use tollway_testkit::postgres;
//! // In a test:
//! let Some(cluster) = postgres::shared() else { return };
//! let url = cluster.database();
//! # }
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Says that there is no PostgreSQL here, and that tests pass without.
const WITHOUT: &str = "TOLLWAY_NO_POSTGRES";
/// Names the folder of its binaries where they are neither on the path nor where Debian has them.
const BINARIES: &str = "TOLLWAY_POSTGRES";
/// Longest wait for a start, a recovery, or an end.
const PATIENCE: Duration = Duration::from_secs(30);
const USER: &str = "tollway";

/// Starts the server given as arguments and waits for a word, or for the end of standard input, which comes with the end of
/// the process that writes it, whatever ended that. Then the server ends too; without a word nothing is left of it.
const GUARD: &str = r#"folder=$1; shift; "$@" >>"$folder/log" 2>&1 & read -r word; kill -QUIT $!; wait $!; test "$word" || rm -rf "$folder""#;
const KEEP: &[u8] = b"keep\n";

/// A cluster for all tests of this process that need a database and do it no harm.
///
/// # Panics
/// As [`start`] does.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

/// A cluster to be stopped and killed. `None` where `TOLLWAY_NO_POSTGRES` is set, which is told on standard error: the test
/// is to pass.
///
/// # Panics
/// There is no PostgreSQL, and nothing says that there need not be; or it does not start.
pub fn start() -> Option<Cluster> {
    let Some(binaries) = binaries() else {
        assert!(
            std::env::var_os(WITHOUT).is_some(),
            "no PostgreSQL is installed; run `cargo xtask postgres`, name the folder of its binaries in {BINARIES}, or say \
             {WITHOUT}=1 to do without this test"
        );
        eprintln!("NOT TESTED: there is no PostgreSQL, and {WITHOUT} says so");
        return None;
    };
    Some(Cluster::start(&binaries).unwrap_or_else(|why| panic!("{why}")))
}

fn binaries() -> Option<PathBuf> {
    let named = std::env::var_os(BINARIES).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|at| at.path().join("bin"));
    let mut places = named.into_iter().chain(installed).chain(std::env::split_paths(&path));
    places.find(|folder| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file()))
}

/// A PostgreSQL of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Cluster {
    binaries: PathBuf,
    /// Its data, its socket and its log.
    folder: TempDir,
    /// Who runs it, where that is not us: PostgreSQL refuses the superuser.
    user: Option<(u32, u32)>,
    /// The guard and, by it, the server.
    running: Mutex<Option<Child>>,
    databases: AtomicUsize,
}

impl Cluster {
    fn start(binaries: &Path) -> Result<Self, String> {
        let cannot = |why: std::io::Error| format!("a folder for PostgreSQL cannot be made: {why}");
        let folder = TempDir::with_prefix("tollway-pg-").map_err(cannot)?;
        let user = match fs::metadata(folder.path()).map_err(cannot)?.uid() {
            0 => Some(somebody()?),
            _ => None,
        };
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).map_err(cannot)?;
        }
        let (running, databases) = (Mutex::default(), AtomicUsize::new(0));
        let this = Self { binaries: binaries.to_owned(), folder, user, running, databases };
        let mut initdb = this.command("initdb");
        initdb.args(["--no-sync", "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"]);
        said(initdb.arg("--pgdata").arg(this.data()).output(), "initdb")?;
        this.go_on()?;
        Ok(this)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        self.as_user(self.binaries.join(program))
    }

    fn as_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // Neither the folder we are in nor our settings for PostgreSQL are its business.
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command
    }

    fn running(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it again, and waits until it answers: after [`kill`](Self::kill) once it has recovered.
    ///
    /// # Errors
    /// It does not start; with the end of its log.
    pub fn go_on(&self) -> Result<(), String> {
        let mut running = self.running();
        if running.is_some() {
            return Ok(());
        }
        let mut guard = self.as_user("sh");
        guard.args(["-c", GUARD, "sh"]).arg(self.folder.path()).arg(self.binaries.join("postgres"));
        guard.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        // No data outlive the machine, so nothing need be on its disk; a process that is killed loses nothing by it.
        for setting in ["listen_addresses=", "fsync=off", "shared_buffers=32MB", "max_connections=300"] {
            guard.args(["-c", setting]);
        }
        // Signals to the test are not for it: it ends when the test has.
        let guard = guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        *running = Some(guard.map_err(|why| format!("PostgreSQL cannot be started: {why}"))?);
        let until = Instant::now() + PATIENCE;
        loop {
            let Err(why) = self.ask("postgres", "SELECT 1") else { return Ok(()) };
            let ended = running.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || Instant::now() >= until {
                return Err(format!("PostgreSQL does not start: {why}\n{}", self.log()));
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Ends it at once, as a crash does: open connections break, and what was not committed is gone.
    ///
    /// # Panics
    /// It does not end.
    pub fn kill(&self) {
        let Some(mut guard) = self.running().take() else { return };
        let told = guard.stdin.take().map(|mut guard| guard.write_all(KEEP));
        assert!(matches!(told, Some(Ok(()))), "PostgreSQL's guard has ended:\n{}", self.log());
        let until = Instant::now() + PATIENCE;
        while !matches!(guard.try_wait(), Ok(Some(_))) {
            assert!(Instant::now() < until, "PostgreSQL does not end:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.ask("postgres", &format!("CREATE DATABASE {name}")).unwrap_or_else(|why| panic!("{why}"));
        self.url(&name)
    }

    /// The URL of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={USER}", self.folder.path().display())
    }

    /// The socket that clients connect to.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// Runs statements as the superuser; gives what `psql` prints.
    ///
    /// # Errors
    /// What it says.
    pub fn ask(&self, database: &str, statements: &str) -> Result<String, String> {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        psql.arg("--host").arg(self.folder.path()).args(["--username", USER, "--dbname", database]);
        let output = said(psql.args(["--command", statements]).output(), "psql")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Killed and not stopped: nobody needs its data.
        if let Some(mut guard) = self.running().take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

/// Somebody who is not the superuser.
fn somebody() -> Result<(u32, u32), String> {
    let number = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok().filter(|output| output.status.success())?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    let known = ["postgres", "nobody"].iter().find_map(|user| Some((number("-u", user)?, number("-g", user)?)));
    known.ok_or_else(|| "PostgreSQL runs as no superuser, and there is no user `postgres` or `nobody`".to_owned())
}

fn said(output: std::io::Result<Output>, program: &str) -> Result<Output, String> {
    let output = output.map_err(|why| format!("{program} cannot be run: {why}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
