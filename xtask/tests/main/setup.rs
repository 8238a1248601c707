//! Tests the set-up with something missing or broken. `python3` and the like are
//! scripts here; only `cargo xtask setup` itself tries the real download.

use crate::place::{Outcome, Place, finish, names};

/// A machine that has only what a shell script needs. (Scripts, not links: a test
/// that replaces a program would write through a link into the real program.)
fn bare() -> Place {
    let place = Place::new();
    for program in ["df", "cat", "sleep"] {
        let folders = ["/bin", "/usr/bin"].map(|folder| std::path::Path::new(folder).join(program));
        let real = folders.iter().find(|path| path.exists()).unwrap();
        place.script(
            &format!("path/{program}"),
            &format!("exec {} \"$@\"", real.display()),
        );
    }
    place
}

fn setup(place: &Place, variables: &[(&str, &str)]) -> Outcome {
    finish(
        place
            .command(&["setup"])
            .env("PATH", place.path("path"))
            .envs(variables.iter().copied()),
    )
}

fn add_build_tools(place: &Place) {
    place.script("path/cmake", "echo cmake version 3.31");
    place.script("path/nasm", "echo NASM version 2.16");
}

#[track_caller]
fn failed(place: &Place, outcome: &Outcome, said: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for words in said {
        assert!(
            outcome.stderr.contains(words),
            "{words:?} should be in {:?}",
            outcome.stderr
        );
    }
    let errors = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .count();
    assert_eq!(errors, 1, "{}", outcome.stderr);
    let cached = names(&place.path("cache"));
    assert!(
        cached
            .iter()
            .all(|name| [".lock", "downloads"].contains(&name.as_str())),
        "left in the cache: {cached:?}"
    );
    assert_eq!(names(&place.path("cache/downloads")), [""; 0]);
    assert!(!place.path(".libtorch").exists());
}

#[test]
fn no_python() {
    let place = bare();
    failed(
        &place,
        &setup(&place, &[]),
        &["python3 can't be started", "apt-get install python3-pip"],
    );
}

#[test]
fn no_pip() {
    let place = bare();
    place.script(
        "path/python3",
        "echo '/usr/bin/python3: No module named pip' >&2; exit 1",
    );
    failed(
        &place,
        &setup(&place, &[]),
        &[
            "python3 has no pip (/usr/bin/python3: No module named pip)",
            "ensurepip",
        ],
    );
}

/// A pip that runs `end` instead of a download.
fn pip(place: &Place, end: &str) {
    place.script(
        "path/python3",
        &format!("case \"$*\" in *--version) echo pip 23 ;; *' download '*) {end} ;; esac"),
    );
}

#[test]
fn no_network() {
    let place = bare();
    pip(
        &place,
        "echo 'WARNING: Retrying' >&2; echo 'ERROR: No matching distribution found for cmake==3.31.10' >&2; exit 1",
    );
    failed(
        &place,
        &setup(&place, &[]),
        &[
            "pip says: No matching distribution found for cmake==3.31.10",
            "by hand",
        ],
    );
}

#[test]
fn a_damaged_download() {
    let place = bare();
    pip(
        &place,
        "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.' >&2; exit 1",
    );
    failed(
        &place,
        &setup(&place, &[]),
        &["has not the SHA-256", "run the command again"],
    );
}

#[test]
fn a_full_disk() {
    let place = bare();
    pip(
        &place,
        "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1",
    );
    failed(
        &place,
        &setup(&place, &[]),
        &["is full", "set ATTEND_CACHE"],
    );
    place.script("path/df", "echo header; echo '/dev/x 100 90 10240 90% /'");
    failed(
        &place,
        &setup(&place, &[]),
        &["downloading cmake==3.31.10 needs 78 MB", "10 MB are left"],
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn no_c_compiler() {
    let place = bare();
    add_build_tools(&place);
    failed(
        &place,
        &setup(&place, &[]),
        &["no C compiler was found", "build-essential"],
    );
    assert!(place.path(".tools/cmake/bin/cmake").exists() && place.path(".tools/nasm").exists());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn no_nasm() {
    let place = bare();
    place.script("path/cmake", "echo cmake version 3.31");
    failed(
        &place,
        &setup(&place, &[]),
        &["nasm is missing", "install the package `nasm`"],
    );
}

#[test]
fn a_libtorch_of_the_user() {
    let place = bare();
    add_build_tools(&place);
    let folder = place.path("own");
    let own = folder.to_str().unwrap();
    let wrong = setup(&place, &[("LIBTORCH", own)]);
    failed(&place, &wrong, &["LIBTORCH=", "has no lib/libtorch"]);
    let suffix = std::env::consts::DLL_SUFFIX;
    for name in ["libtorch", "libtorch_cpu", "libc10"] {
        place.write(&format!("own/lib/{name}{suffix}"), "");
    }
    place.write("own/include/torch/csrc/api/include/torch/torch.h", "");
    place.write("own/build-version", "2.9.0\n");
    failed(
        &place,
        &setup(&place, &[("LIBTORCH", own)]),
        &["is of version 2.9.0, not 2.11.0"],
    );
    place.write("own/build-version", "2.11.0+cpu\n");
    let done = setup(&place, &[("LIBTORCH", own)]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(std::fs::read_link(place.path(".libtorch")).unwrap(), folder);
    assert_eq!(
        setup(&place, &[("LIBTORCH", own)]).stderr,
        "nothing to do\n"
    );
    assert_eq!(setup(&place, &[]).stderr, "nothing to do\n");
}

#[test]
fn two_set_ups_wait_for_each_other() {
    let place = bare();
    std::fs::create_dir_all(place.path("cache")).unwrap();
    let lock = std::fs::File::create(place.path("cache/.lock")).unwrap();
    lock.lock().unwrap();
    let second = place
        .command(&["setup"])
        .env("PATH", place.path("path"))
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(lock);
    let output = second.wait_with_output().unwrap();
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("another set-up is at work")
    );
}
