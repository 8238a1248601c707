use super::*;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use toml::{Table, Value};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new()
        .suffix("c.toml")
        .tempfile()
        .unwrap();
    std::fs::write(file.path(), format!("{text}\n#")).unwrap();
    file
}

fn owned(set: &[&str]) -> Vec<String> {
    set.iter().map(|item| (*item).to_owned()).collect()
}

mod given {
    use super::*;

    fn given(text: &str, set: &[&str]) -> Result<Table> {
        let file = file(text);
        let parameters = json!({
            "run": {"name": "", "pipeline": ""},
            "train": {"learning_rate": 4e-4, "batch": 32, "resume": true, "device": "cpu", "limit": null, "grid": [14, 14]},
        });
        let schema = sections(parameters.as_object().unwrap());
        let foreign = |section: &str, near: &str| match section {
            "theirs" => Ok(()),
            _ => Err(format!("no section [{section}]{near}")),
        };
        Config::read(Some(file.path()), &owned(set))?.given(&schema, foreign)
    }

    #[track_caller]
    fn refused(text: &str, set: &[&str], expected: &str) {
        let error = given(text, set).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().ends_with(expected), "{error}");
    }

    #[test]
    fn the_command_line_lies_over_the_file() {
        let text = "[theirs]\nx = 1\n[train]\nbatch = 80\nlimit = 5\n";
        let set = ["train.batch=7", "train.batch=8", "run.name=a", "theirs.y=2"];
        let expected = "[train]\nbatch = 8\nlimit = 5\n\n[run]\nname = \"a\"\n";
        assert_eq!(given(text, &set).unwrap().to_string(), expected);
    }

    #[test]
    fn what_is_to_be_a_string_needs_no_quotes() {
        let value = |key: &str, text: &str| {
            given("", &[&format!("train.{key}={text}")]).unwrap()["train"][key].clone()
        };
        for text in ["cuda:0", "2017", "007", "true", "1e-3", "2017-01-01"] {
            assert_eq!(value("device", text), Value::String(text.into()));
        }
        assert_eq!(value("device", "\"a b\""), Value::String("a b".into()));
        assert_eq!(value("grid", "[7, 7]").as_array().unwrap().len(), 2);
        assert_eq!(value("limit", "7"), Value::Integer(7));
    }

    /// `dataset.objects` takes one string or several, `dataset.splits` a list or a table.
    #[test]
    fn a_key_may_take_more_than_its_default_shows() {
        let text = "[train]\ngrid = { dev = \"val\" }\ndevice = [\"a\", \"b\"]\n";
        let table = given(text, &["train.device=[\"c\"]", "train.batch=1"]).unwrap();
        assert_eq!(table["train"]["grid"]["dev"].as_str(), Some("val"));
        assert_eq!(table["train"]["device"].as_array().map(Vec::len), Some(1));
        assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
        refused(
            "# x\n\n[train]\nbatch = 1\nlerning_rate = 1.0\n",
            &[],
            "c.toml:5: [train] has no key `lerning_rate`; the nearest is `learning_rate`",
        );
        refused(
            "# x\n\n[trian]\n",
            &[],
            "c.toml:3: no section [trian]; the nearest is [train]",
        );
        refused(
            "train.batch = 1\ntrain.x = 1\n",
            &[],
            "c.toml:2: [train] has no key `x`",
        );
        refused(
            "",
            &["train.bach=1"],
            "--set train.bach=1: [train] has no key `bach`; the nearest is `batch`",
        );
        refused(
            "",
            &["trian.a=1"],
            "--set trian.a=1: no section [trian]; the nearest is [train]",
        );
        refused("", &["train"], "--set train: expected section.key=value");
    }

    #[test]
    fn a_key_of_another_section_is_named_with_its_section() {
        refused(
            "[run]\nbatch = 3\n",
            &[],
            "c.toml:2: [run] has no key `batch`; the nearest is `train.batch`",
        );
        refused(
            "",
            &["run.lerning_rate=1"],
            "--set run.lerning_rate=1: [run] has no key `lerning_rate`; the nearest is `train.learning_rate`",
        );
        // One edit from a key of its own section.
        refused(
            "",
            &["run.names=1"],
            "[run] has no key `names`; the nearest is `name`",
        );
        refused("", &["run.gird=1"], "; the nearest is `train.grid`");
        // A few edits make any key of another short one.
        refused(
            "",
            &["run.lim=1"],
            "[run] has no key `lim`; the nearest is `name`",
        );
        refused(
            "",
            &["batch=3"],
            "--set batch=3: expected section.key=value; the nearest is `train.batch`",
        );
        refused(
            "",
            &["other.batch=3"],
            "--set other.batch=3: no section [other]; the nearest is `train.batch`",
        );
    }

    #[test]
    fn types_are_those_of_the_defaults() {
        refused(
            "[train]\nbatch = 1.5\n",
            &[],
            "c.toml:2: train.batch must be a whole number, not `1.5`",
        );
        refused(
            "[train]\ndevice = 3\n",
            &[],
            "c.toml:2: train.device must be a string, not `3`",
        );
        refused(
            "",
            &["train.batch=many"],
            "--set train.batch=many: train.batch must be a whole number, not `\"many\"`",
        );
        refused(
            "",
            &["train.resume=1"],
            "--set train.resume=1: train.resume must be true or false, not `1`",
        );
        refused(
            "train = 3\n",
            &[],
            "c.toml:1: [train] must be a section, not a value",
        );
    }

    #[test]
    fn a_string_is_read_before_the_schema_is_known() {
        let file = file("[run]\nname = \"a\"\npipeline = 3\n");
        let config = |set: &[&str]| Config::read(Some(file.path()), &owned(set)).unwrap();
        let name = |set: &[&str]| config(set).string("run", "name").unwrap();
        assert_eq!(name(&[]).as_deref(), Some("a"));
        assert_eq!(name(&["run.name=b", "run.name=2"]).as_deref(), Some("2"));
        assert_eq!(config(&[]).string("run", "none").unwrap(), None);
        let error = config(&[]).string("run", "pipeline").unwrap_err();
        let expected = "c.toml:3: run.pipeline must be a string";
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

mod load {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize, Default)]
    struct Parameters {
        #[serde(default)]
        train: Train,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Train {
        epochs: u64,
        schedule: String,
        weights: Option<String>,
    }

    impl Default for Train {
        fn default() -> Self {
            Train {
                epochs: 120,
                schedule: "plateau".into(),
                weights: None,
            }
        }
    }

    #[track_caller]
    fn refused(text: &str, set: &[&str], expected: &str) {
        let file = file(text);
        let error = load::<Parameters>(Some(file.path()), &owned(set), &[]);
        let error = error.err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn defaults_file_and_overrides_in_this_order() {
        let file = file("[train]\nepochs = 3\n[dataset]\nanything = 1\n");
        let set = owned(&["train.schedule=cosine", "train.weights=\"w\""]);
        let (parameters, _) = load::<Parameters>(Some(file.path()), &set, &[]).unwrap();
        assert_eq!(
            parameters.train,
            Train {
                epochs: 3,
                schedule: "cosine".into(),
                weights: Some("w".into())
            }
        );
        let (parameters, _) = load::<Parameters>(None, &owned(&["train.epochs=7"]), &[]).unwrap();
        assert_eq!(parameters.train.epochs, 7);
    }

    #[test]
    fn a_slip_in_the_name_of_a_section_is_no_other_program_s() {
        refused(
            "#\n[trian]\n",
            &[],
            "c.toml:2: no section [trian]; did you mean [train]?",
        );
        refused("", &["train.wieghts=1"], "the nearest is `weights`");
    }

    #[test]
    fn what_the_default_does_not_say_is_refused_with_its_line() {
        refused(
            "[train]\n\nepochs = -1\n",
            &[],
            "c.toml:3: train.epochs: invalid value: integer `-1`, expected u64",
        );
        refused(
            "",
            &["train.weights=7"],
            "--set train.weights=7: train.weights: invalid type: integer `7`, expected a string",
        );
        refused("[train\n", &[], "line 1");
    }

    #[test]
    fn a_variable_that_is_needed_and_not_set_is_named() {
        let text = "[train]\nschedule = \"${ATTEND_NO_SUCH}\"\n";
        refused(
            text,
            &[],
            ":2: train.schedule = \"${ATTEND_NO_SUCH}\" needs the environment variable ATTEND_NO_SUCH",
        );
        refused("", &["train.schedule=${x"], "${ without a closing }");
        // A published file is named with the command that brings it.
        refused(
            "[train]\nweights = \"${ATTEND_NO_SUCH}/resnet101-63fe2227.pth\"\n",
            &[],
            "; `cargo xtask fetch resnet101 --to DIR` brings it",
        );
    }

    #[test]
    fn a_variable_that_is_not_needed_need_not_be_set() {
        let file = file("[train]\n\nweights = \"${ATTEND_NO_SUCH}/w.pth\"\n");
        let loaded = || load::<Parameters>(Some(file.path()), &[], &["train.weights"]).unwrap();
        let (parameters, unset) = loaded();
        assert_eq!(parameters.train.weights.unwrap(), "${ATTEND_NO_SUCH}/w.pth");
        let other = unset.explain(Error::input("/data/w.pth: no such file"));
        assert_eq!(other.exit_code(), 3);
        let needed = loaded()
            .1
            .explain(Error::input("${ATTEND_NO_SUCH}/w.pth: no such file"));
        assert_eq!(needed.exit_code(), 2);
        let why = needed.to_string();
        let expected = ":3: train.weights = \"${ATTEND_NO_SUCH}/w.pth\" needs the environment variable ATTEND_NO_SUCH";
        assert!(why.contains(expected), "{why}");
    }
}
