//! `wua wine`, with a program in Wine's place that writes down what it is called with. What Wine makes of it, the tests of the DLL show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::{Run, program};

/// What a program for 64-bit Windows begins with.
fn windows_program(note: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x90];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x40..0x40 + note.len()].copy_from_slice(note);
    bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    bytes
}

/// A prefix, a DLL to put there, and a `wine`.
struct Prefix {
    folder: TempDir,
}

impl Prefix {
    fn new() -> Self {
        let prefix = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        fs::create_dir_all(prefix.path("p/drive_c/windows/system32")).expect("folders");
        fs::create_dir(prefix.path("bin")).expect("a folder");
        fs::create_dir(prefix.path("run")).expect("a folder");
        prefix.write("p/system.reg", b"WINE REGISTRY Version 2\n\n#arch=win64\n");
        prefix.write(
            "p/drive_c/windows/system32/wuapi.dll",
            &windows_program(b"Wine builtin DLL"),
        );
        prefix.write("wuapi.dll", &windows_program(b"wua"));
        prefix.wine("exit 0");
        prefix
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("written");
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain name").into()
    }

    /// From now on Wine ends like this; `$*` are its words.
    fn wine(&self, end: &str) {
        let log = self.text("log");
        let script = format!("#!/bin/sh\necho \"$*\" >> {log}\nenv > {log}.env\n{end}\n");
        self.write("bin/wine", script.as_bytes());
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path("bin/wine"), mode).expect("ours");
    }

    /// What Wine was called with since the last look.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        text.lines().map(str::to_owned).collect()
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut command = program();
        command
            .args(["wine"])
            .args(words)
            .env("PATH", format!("{}:/usr/bin:/bin", self.text("bin")))
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("DISPLAY", ":7")
            .env("SECRET", "nobody's business");
        let output = command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let words = std::iter::once(&"wine").chain(words);
        Run::new(
            words.map(|word| (*word).to_owned()).collect(),
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn set_up(&self, more: &[&str]) -> Run {
        let (prefix, dll) = (self.text("p"), self.text("wuapi.dll"));
        self.run(&[&["setup", &prefix, "--dll", &dll], more].concat())
    }

    fn system(&self) -> Vec<String> {
        let listed = fs::read_dir(self.path("p/drive_c/windows/system32")).expect("listed");
        let mut names: Vec<String> = listed
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a plain name")
            })
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn has_wines_own(&self) {
        assert_eq!(self.system(), ["wuapi.dll"]);
        let own = fs::read(self.path("p/drive_c/windows/system32/wuapi.dll")).expect("read");
        assert_eq!(own, windows_program(b"Wine builtin DLL"));
    }
}

#[test]
fn a_prefix_is_set_up_once_and_again_and_taken_back() {
    let prefix = Prefix::new();
    let bridge_file = prefix.text("run/wua/bridge.json");
    for _ in 0..2 {
        let document = prefix.set_up(&["--output", "json"]).ends(0).document();
        assert_eq!(document["changed"], true);
        assert_eq!(document["bridge_file"], *bridge_file);
        assert_eq!(
            prefix.calls(),
            [
                "--version",
                r"reg add HKCU\Software\Wine\DllOverrides /v wuapi /t REG_SZ /d native /f",
                &format!(r"reg add HKLM\Software\wua /v BridgeFile /t REG_SZ /d {bridge_file} /f"),
                "regsvr32 /s wuapi.dll",
            ]
        );
        assert_eq!(prefix.system(), ["wuapi.dll", "wuapi.dll.wine"]);
        let there =
            |name: &str| fs::read(prefix.path("p/drive_c/windows/system32").join(name)).expect("read");
        assert_eq!(there("wuapi.dll"), windows_program(b"wua"));
        assert_eq!(there("wuapi.dll.wine"), windows_program(b"Wine builtin DLL"));
    }
    let environment = fs::read_to_string(prefix.path("log.env")).expect("written");
    for wanted in [
        &format!("WINEPREFIX={}", prefix.text("p")),
        "WINEDEBUG=-all",
        "DISPLAY=:7",
        "HOME=",
    ] {
        assert!(environment.contains(wanted), "{environment}");
    }
    assert!(
        !environment.contains("SECRET") && !environment.contains("RUNTIME"),
        "{environment}"
    );

    let path = prefix.text("p");
    prefix.run(&["remove", &path]).ends(0).says(&["Wine's own"]);
    assert_eq!(
        prefix.calls(),
        [
            "regsvr32 /s /u wuapi.dll",
            r"reg delete HKCU\Software\Wine\DllOverrides /v wuapi /f",
            r"reg delete HKLM\Software\wua /f",
            "regsvr32 /s wuapi.dll",
        ]
    );
    prefix.has_wines_own();
    prefix.run(&["remove", &path]).ends(0).says(&["nothing of wua's"]);
    assert_eq!(prefix.calls(), [""; 0]);
}

#[test]
fn what_does_not_register_is_not_left_there() {
    let prefix = Prefix::new();
    prefix.wine("case \"$*\" in 'regsvr32 /s wuapi.dll') echo 'it does not load'; exit 3;; esac");
    prefix.set_up(&[]).ends(5).complains(&[
        "regsvr32 /s wuapi.dll",
        "exit status: 3",
        "it does not load",
        "next:",
    ]);
    prefix.has_wines_own();
    assert!(
        prefix
            .calls()
            .contains(&r"reg delete HKLM\Software\wua /f".to_owned())
    );
}

#[test]
fn what_is_missing_is_named_before_anything_is_touched() {
    let prefix = Prefix::new();
    let (path, dll) = (prefix.text("p"), prefix.text("wuapi.dll"));
    prefix
        .run(&["setup", &prefix.text("bin"), "--dll", &dll])
        .ends(2)
        .complains(&["is no Wine prefix", "drive_c/windows/system32", "wineboot"]);
    prefix
        .run(&["setup", &path, "--dll", &prefix.text("missing.dll")])
        .ends(2)
        .complains(&["there is no", "missing.dll", "com/build", "--dll"]);
    for other in ["bin/wine", "p/system.reg", "p/drive_c/windows/system32/wuapi.dll"] {
        prefix
            .run(&["setup", &path, "--dll", &prefix.text(other)])
            .ends(2)
            .complains(&["is no DLL for 64-bit Windows"]);
    }
    prefix
        .set_up(&["--bridge-file", "a\nb"])
        .ends(2)
        .complains(&["no text that a registry takes"]);
    assert_eq!(prefix.calls(), [""; 0]);
    prefix.write("p/system.reg", b"WINE REGISTRY Version 2\n\n#arch=win32\n");
    prefix.set_up(&[]).ends(2).complains(&["32-bit programs only"]);
    fs::remove_file(prefix.path("p/system.reg")).expect("removed");
    prefix.set_up(&[]).ends(2).complains(&["`system.reg`"]);
    // A prefix that was made a moment ago.
    prefix.write("p/.update-timestamp", b"1");
    fs::remove_file(prefix.path("bin/wine")).expect("removed");
    let mut command = program();
    let output = command
        .args(["wine", "setup", &path, "--dll", &dll])
        .env("PATH", prefix.path("bin"))
        .env("HOME", prefix.folder.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("no program `wine`") && said.contains("apt-get install wine64 wine"),
        "{said}"
    );
    prefix.has_wines_own();
}
