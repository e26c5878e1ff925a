//! A Wine prefix, and `wuapi.dll` in it. Files are put in place by this program, the registry is written by Wine's own `reg`, and
//! the DLL enters itself there (`regsvr32`).
//!
//! Wine's own DLL is kept beside ours, once, and comes back when ours is removed or does not work.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wua_types::HResult;

/// Where the Debian package puts the DLL.
pub(crate) const USUAL_DLL: &str = "/usr/lib/wua/wuapi.dll";

/// What Wine loads: its own DLL, or the file in the prefix.
const OVERRIDES: &str = r"HKCU\Software\Wine\DllOverrides";

/// Where the DLL finds its bridge.
const OWN_KEY: &str = r"HKLM\Software\wua";

/// How long one call of Wine may take; the first in a prefix of another version brings that up to date.
const LIMIT: Duration = Duration::from_secs(180);

/// The variables of the caller's that Wine gets.
const PASSED: [&str; 4] = ["HOME", "PATH", "DISPLAY", "XAUTHORITY"];

/// Why a prefix is not set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WineError {
    #[error("`{prefix}` is no Wine prefix: it has no `{missing}`")]
    NoPrefix { prefix: PathBuf, missing: &'static str },
    #[error("the Wine prefix `{prefix}` is for 32-bit programs only, and wuapi.dll is for 64-bit ones")]
    TooNarrow { prefix: PathBuf },
    #[error("the Wine prefix `{prefix}` belongs to another user")]
    Foreign { prefix: PathBuf },
    #[error("there is no `{dll}`")]
    NoDll { dll: PathBuf },
    #[error("`{dll}` is no DLL for 64-bit Windows")]
    NotOurs { dll: PathBuf },
    #[error("the path of the bridge's file, `{file}`, is no text that a registry takes")]
    Unwritable { file: PathBuf },
    #[error("there is no program `wine`")]
    NoWine,
    #[error("`wine {call}` {how}")]
    Call { call: String, how: String },
    #[error("`wine {call}` takes longer than {} seconds", LIMIT.as_secs())]
    Hangs { call: String },
    #[error("cannot {action} `{path}`")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl WineError {
    pub(crate) fn code(&self) -> HResult {
        match self {
            Self::NoPrefix { .. }
            | Self::TooNarrow { .. }
            | Self::NoDll { .. }
            | Self::NotOurs { .. }
            | Self::Unwritable { .. } => HResult::E_INVALIDARG,
            Self::Foreign { .. } => HResult::E_ACCESSDENIED,
            Self::NoWine | Self::Call { .. } => HResult::E_FAIL,
            Self::Hangs { .. } => HResult::WU_E_TIME_OUT,
            Self::File { source, .. } => wua_engine::store::io_code(source),
        }
    }

    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::NoPrefix { .. } => {
                "Name the folder of a prefix, such as `~/.wine`; `WINEPREFIX=DIR wine wineboot -i` makes one."
            }
            Self::TooNarrow { .. } => {
                "Make a prefix for 64-bit programs: `WINEARCH=win64 WINEPREFIX=DIR wine wineboot -i`."
            }
            Self::Foreign { .. } => "Do it as that user: what runs in a prefix has its user's rights.",
            Self::NoDll { .. } => "`com/build` in the source of wua makes it; name it by `--dll`.",
            Self::NotOurs { .. } => "Name the wuapi.dll that `com/build` made, by `--dll`.",
            Self::Unwritable { .. } => "Name a file with a plain path, by `--bridge-file`.",
            Self::NoWine => "Install it: `apt-get install wine64 wine`.",
            Self::Call { .. } => {
                "Try the same call with `WINEPREFIX` set to the prefix and without `WINEDEBUG`, to see what Wine says."
            }
            Self::Hangs { .. } => {
                "End what runs in the prefix, by `wineserver -k` with `WINEPREFIX` set to it, and repeat the command."
            }
            Self::File { .. } => "See what the sentence names, and repeat the command.",
        }
    }
}

/// A Wine prefix of the caller's.
#[derive(Debug)]
pub(crate) struct Prefix {
    path: PathBuf,
}

impl Prefix {
    /// Makes sure that the folder is a prefix, for 64-bit programs, and the caller's own.
    pub(crate) fn open(path: &Path) -> Result<Self, WineError> {
        let path = std::path::absolute(path).map_err(file("find", path))?;
        let missing = |missing| WineError::NoPrefix {
            prefix: path.clone(),
            missing,
        };
        let system = "drive_c/windows/system32";
        if !path.join(system).is_dir() {
            return Err(missing(system));
        }
        // Wine writes the registry down some time after it has made the prefix; until then, this says that it was made.
        let registry = path.join("system.reg");
        if !registry.is_file() && !path.join(".update-timestamp").is_file() {
            return Err(missing("system.reg"));
        }
        let owner = path.metadata().map_err(file("look at", &path))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(WineError::Foreign { prefix: path });
        }
        if is_narrow(&registry) {
            return Err(WineError::TooNarrow { prefix: path });
        }
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the DLL there, in place of Wine's own, and tells it where the bridge's file is. Where it does not work, Wine's own is back
    /// afterwards.
    pub(crate) fn set_up(&self, dll: &Path, bridge_file: &Path) -> Result<(), WineError> {
        let unwritable = || WineError::Unwritable {
            file: bridge_file.into(),
        };
        let is_plain = |text: &&str| !text.contains(char::is_control);
        let bridge = bridge_file.to_str().filter(is_plain).ok_or_else(unwritable)?;
        check_dll(dll)?;
        self.wine(&["--version"])?;
        let steps = || {
            self.place(dll)?;
            self.wine(&[
                "reg", "add", OVERRIDES, "/v", "wuapi", "/t", "REG_SZ", "/d", "native", "/f",
            ])?;
            self.wine(&[
                "reg",
                "add",
                OWN_KEY,
                "/v",
                "BridgeFile",
                "/t",
                "REG_SZ",
                "/d",
                bridge,
                "/f",
            ])?;
            self.wine(&["regsvr32", "/s", "wuapi.dll"])
        };
        steps().inspect_err(|_| {
            if let Err(error) = self.remove() {
                tracing::warn!(%error, "the prefix is not as it was");
            }
        })
    }

    /// Takes everything back. Says whether there was anything.
    pub(crate) fn remove(&self) -> Result<bool, WineError> {
        let (own, kept) = (self.dll(), self.kept());
        let Ok(found) = fs::symlink_metadata(&kept) else {
            return Ok(false);
        };
        // A DLL that does not load cannot be asked to leave; what it has entered leads nowhere then.
        let _ = self.wine(&["regsvr32", "/s", "/u", "wuapi.dll"]);
        self.forget(&["reg", "delete", OVERRIDES, "/v", "wuapi", "/f"])?;
        self.forget(&["reg", "delete", OWN_KEY, "/f"])?;
        // Last, since this is what the next attempt goes by.
        if found.len() == 0 {
            fs::remove_file(&own).map_err(file("remove", &own))?;
            fs::remove_file(&kept).map_err(file("remove", &kept))?;
            return Ok(true);
        }
        fs::rename(&kept, &own).map_err(file("put back", &own))?;
        // Wine's own enters what it had entered when the prefix was made.
        let _ = self.wine(&["regsvr32", "/s", "wuapi.dll"]);
        Ok(true)
    }

    fn dll(&self) -> PathBuf {
        self.path.join("drive_c/windows/system32/wuapi.dll")
    }

    /// Where what was there before is kept, as long as ours is there; empty where nothing was.
    fn kept(&self) -> PathBuf {
        self.dll().with_added_extension("wine")
    }

    /// Copies the DLL to its place. What runs in the prefix keeps the file that it has open.
    fn place(&self, dll: &Path) -> Result<(), WineError> {
        let (own, kept) = (self.dll(), self.kept());
        let copy = || {
            let mut from = File::open(dll)?;
            let mut to = tempfile::Builder::new()
                .prefix(".wuapi-")
                .permissions(fs::Permissions::from_mode(0o644))
                .tempfile_in(own.parent().unwrap_or(Path::new(".")))?;
            io::copy(&mut from, to.as_file_mut())?;
            Ok(to)
        };
        let new = copy().map_err(file("copy", dll))?;
        let keep = || match fs::symlink_metadata(&own) {
            // Wine may have put a newer one of its own there since.
            Ok(_) if is_wines(&own) || !kept.exists() => fs::rename(&own, &kept),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !kept.exists() => fs::write(&kept, ""),
            found => found.map(drop),
        };
        keep().map_err(file("keep", &own))?;
        new.persist(&own)
            .map_err(|error| file("replace", &own)(error.error))?;
        Ok(())
    }

    /// Removes something from the registry that may not be there.
    fn forget(&self, words: &[&str]) -> Result<(), WineError> {
        match self.wine(words) {
            Err(WineError::Call { .. }) => Ok(()),
            ended => ended,
        }
    }

    /// Calls Wine, and waits for its end.
    fn wine(&self, words: &[&str]) -> Result<(), WineError> {
        let call = words.join(" ");
        let failed = |how: String| WineError::Call {
            call: call.clone(),
            how,
        };
        // No pipe: what Wine leaves running would keep it open.
        let said = || Ok::<_, io::Error>((tempfile::tempfile()?, tempfile::tempfile()?));
        let (mut said, error_output) =
            said().map_err(|error| failed(format!("cannot be started: {error}")))?;
        let mut command = Command::new("wine");
        command.env_clear();
        for name in PASSED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let mut child = command
            .args(words)
            .env("WINEPREFIX", &self.path)
            .env("WINEDEBUG", "-all")
            // Who crashes ends, and asks nobody.
            .env("WINEDLLOVERRIDES", "winedbg.exe=")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(said.try_clone().map_err(|error| failed(error.to_string()))?)
            .stderr(error_output)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => WineError::NoWine,
                _ => failed(format!("cannot be started: {error}")),
            })?;
        let begun = Instant::now();
        let status: ExitStatus = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begun.elapsed() < LIMIT => thread::sleep(Duration::from_millis(20)),
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(WineError::Hangs { call });
                }
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut text = Vec::new();
        let _ = said
            .rewind()
            .and_then(|()| said.take(1000).read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rfind(|line| !line.trim().is_empty());
        Err(failed(match line {
            Some(line) => format!("ended with {status}: {}", line.trim()),
            None => format!("ended with {status}"),
        }))
    }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WineError {
    let path = path.to_owned();
    move |source| WineError::File { action, path, source }
}

/// Whether a registry says that it is one of 32 bits; it does so in its first lines.
fn is_narrow(registry: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(registry).and_then(|file| file.take(4096).read_to_end(&mut head));
    read.is_ok()
        && head
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii() == b"#arch=win32")
}

/// Whether a DLL is one of Wine's own: they say so behind their first header.
fn is_wines(dll: &Path) -> bool {
    let mut mark = [0; 4];
    let read = File::open(dll).and_then(|file| file.read_exact_at(&mut mark, 64));
    read.is_ok() && &mark == b"Wine"
}

/// Whether the file is a program for 64-bit Windows, and none of Wine's.
fn check_dll(dll: &Path) -> Result<(), WineError> {
    let opened = File::open(dll).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => WineError::NoDll { dll: dll.into() },
        _ => file("open", dll)(error),
    })?;
    let read = |at: u64| {
        let mut word = [0; 6];
        opened.read_exact_at(&mut word, at).map(|()| word)
    };
    let machine = || {
        let [a, b, c, d, ..] = read(0x3c)?;
        read(u32::from_le_bytes([a, b, c, d]).into())
    };
    let is_program = read(0).is_ok_and(|head| head.starts_with(b"MZ"));
    let is_wide = machine().is_ok_and(|head: [u8; 6]| head == *b"PE\0\0\x64\x86");
    if is_program && is_wide && !is_wines(dll) {
        return Ok(());
    }
    Err(WineError::NotOurs { dll: dll.into() })
}
