//! Files of `torch.save` that no PyTorch wrote: what is refused, in bounded memory.

use attend_model::pickled::{self, Python, ordered};
use attend_model::weights;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

use crate::rebuilt::fixture;

/// The parts of a file of before PyTorch 1.6 in front of what was saved.
const HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\
    \x80\x02M\xe9\x03.\
    \x80\x02}X\x0d\0\0\0little_endian\x88s.";

/// A file with this pickle and these keys and numbers of storages.
fn file(folder: &Path, pickle: &[u8], rest: &[u8]) -> PathBuf {
    let path = folder.join("odd.pth");
    std::fs::write(&path, [HEAD, b"\x80\x02", pickle, rest].concat()).unwrap();
    path
}

#[track_caller]
fn refused(path: &Path, why: &str) {
    let message = weights::read(path).unwrap_err().to_string();
    assert!(
        message.contains("odd.pth") && message.contains(why),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn values_that_contain_themselves_or_each_other_too_often_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = b"]."; // no storages
    for (pickle, why) in [
        (&b"]q\0h\0a."[..], "contain each other without end"),
        (b"}q\0X\x01\0\0\0kh\0s.", "contain each other without end"),
        // A parameter of itself.
        (
            b"ctorch._utils\n_rebuild_parameter\n]q\0Rq\x01h\0h\x01a00h\x01.",
            "no tensors",
        ),
        // An OrderedDict of itself.
        (
            b"ccollections\nOrderedDict\n)Rq\0X\x01\0\0\0kh\0s.",
            "contain each other without end",
        ),
    ] {
        refused(&file(folder.path(), pickle, none), why);
    }
    // Each list holds the one before it ten times: 10^30 lists.
    let mut laughs = b"]q\0".to_vec();
    for _ in 0..30 {
        laughs.extend(b"]q\x01(h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0eq\0");
    }
    refused(
        &file(folder.path(), &[&laughs, &b"."[..]].concat(), none),
        "contain each other without end",
    );
    // A list of a million times one dict with a million keys that are no text.
    let wide = [
        b"]}q\0(".to_vec(),
        b"NN".repeat(1_000_000),
        b"u0(".to_vec(),
        b"h\0".repeat(1_000_000),
        b"e.".to_vec(),
    ];
    refused(
        &file(folder.path(), &wide.concat(), none),
        "contain each other without end",
    );
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    refused(
        &file(folder.path(), &deep, none),
        "contain each other without end",
    );
}

#[test]
fn what_is_not_as_long_as_it_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let many = [vec![b'N'; 5 << 20], b".".to_vec()].concat();
    let tensor = |numel: &str, shape: &str, stride: &str| {
        format!(
            "ctorch._utils\n_rebuild_tensor_v2\n((X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\00X\u{3}\0\0\0cpuI{numel}\nNtQI0\n({shape}t({stride}tI00\nNtR."
        )
        .into_bytes()
    };
    let one = [
        b"(X\x01\0\0\x000l.\x01\0\0\0\0\0\0\0".as_slice(),
        &1f32.to_le_bytes(),
    ]
    .concat();
    let head = b"(X\x01\0\0\x000l.".as_slice();
    for (pickle, rest, why) in [
        (many, b"].".to_vec(), "more than 4194304 opcodes"),
        (b"X\xff\xff\xff\xffab".to_vec(), vec![], "download it again"),
        (
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab".to_vec(),
            vec![],
            "download it again",
        ),
        (
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fab".to_vec(),
            vec![],
            "download it again",
        ),
        (
            b"\x8b\xff\xff\xff\x7fab".to_vec(),
            vec![],
            "download it again",
        ),
        (b"h\x05.".to_vec(), vec![], "refers to what is not there"),
        (b"(0.".to_vec(), vec![], "a value is missing"),
        (b"t.".to_vec(), vec![], "a mark is missing"),
        (b"}(Nu.".to_vec(), vec![], "a key without a value"),
        (b"\x82\x01.".to_vec(), vec![], "opcode 0x82"),
        (b"\x80\x09.".to_vec(), vec![], "protocol 9"),
        (
            tensor("1", "I2\n", "I1\n"),
            one.clone(),
            "is beyond its storage",
        ),
        (tensor("1", "I2\nI-1\n", "I0\nI0\n"), one.clone(), "size -1"),
        (
            tensor("1", "I9223372036854775807\nI9\n", "I0\nI0\n"),
            one.clone(),
            "is beyond its storage",
        ),
        (
            tensor("1", "I1000000\nI1000\n", "I0\nI0\n"),
            one.clone(),
            "4000000000 bytes of tensors",
        ),
        (
            tensor("2", "I1\n", "I1\n"),
            one.clone(),
            "has another size than its tensors say",
        ),
        (
            tensor("9223372036854775807", "I1\n", "I1\n"),
            one.clone(),
            "of 9223372036854775807 elements",
        ),
        (
            tensor("1000000000", "I1000000000\n", "I1\n"),
            [head, &1_000_000_000u64.to_le_bytes()].concat(),
            "ends too early",
        ),
    ] {
        refused(&file(folder.path(), &pickle, &rest), why);
    }
    // The same, as it should be.
    let right = file(folder.path(), &tensor("1", "I3\n", "I0\n"), &one);
    let read = weights::read(&right).unwrap();
    assert_eq!(read[""], Tensor::ones([3], (Kind::Float, tch::Device::Cpu)));
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.pth");
    let weight = Tensor::from_slice(&[1.5f32, -2.0, 3.0, 0.0, 5.0, 6.0]).view([2, 3]);
    let counter = Tensor::from(7i64);
    let module = Python::Instance(
        ("some", "Module"),
        vec![
            (
                "_parameters".to_owned(),
                ordered(vec![(
                    "weight".to_owned(),
                    Python::Parameter(weight.tr(), true),
                )]),
            ),
            (
                "_buffers".to_owned(),
                ordered(vec![("counter".to_owned(), Python::Tensor(counter.copy()))]),
            ),
            ("_modules".to_owned(), ordered(vec![])),
        ],
    );
    let again = Python::Parameter(weight.tr(), true);
    let value = Python::Dict(vec![
        ("module".to_owned(), module),
        ("again".to_owned(), again),
    ]);
    pickled::write(&mut std::fs::File::create(&path).unwrap(), &value).unwrap();
    let read = weights::read(&path).unwrap();
    assert!(read.keys().eq(["again", "module.counter", "module.weight"]));
    assert_eq!(read["module.weight"], weight.tr());
    assert_eq!(read["again"], weight.tr());
    assert_eq!(read["module.counter"], counter);
}

#[test]
fn a_module_of_before_pytorch_1_6_is_read_like_one_of_today() {
    let [old, new] =
        ["module-legacy.pth", "module.pth"].map(|name| weights::read(&fixture(name)).unwrap());
    assert_eq!(old, new);
}
