//! `cargo xtask sweep`: runs a pipeline with many values of some parameters. The validation
//! split chooses; the test split is described with the chosen values alone.

use super::{print, print_json};
use crate::child;
use crate::config::{Choice, Config};
use crate::folders::name;
use crate::options::Options;
use crate::parameters::schema;
use crate::pipeline::is_plain;
use crate::prepared::{Begun, Prepared, prepare};
use crate::run::{CONFIG, write_if_new};
use crate::sweep::grid::{Tried, grid, labels, random, shown};
use crate::sweep::stages::{Stages, read};
use crate::sweep::table::{self, Entry, Row};
use crate::workspace::{self, Workspace};
use attend_program::config::Schema;
use attend_program::table::Align::Left;
use attend_program::table::Table;
use attend_program::{Error, Result, say};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

/// Command line of `cargo xtask sweep`.
#[derive(clap::Args)]
pub struct Args {
    /// Name of a file in pipelines/, without .toml, or a path that ends in .toml
    /// [default: the config's run.pipeline]
    pipeline: Option<String>,
    #[command(flatten)]
    choice: Choice,
    /// Override a parameter of the config, in all runs
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Try these values: A,B,… or, with --random, LOW..HIGH or log:LOW..HIGH
    #[arg(long = "try", value_name = "SECTION.KEY=VALUES", required = true)]
    tried: Vec<String>,
    /// Draw N combinations instead of trying all
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 1, requires = "random")]
    seed: u64,
    /// Train each combination with each of these train.seed; the mean chooses
    #[arg(long, value_name = "SEEDS", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// The score that chooses
    #[arg(long, default_value = "cider", value_parser = ["cider", "meteor", "bleu4", "rouge_l"])]
    by: String,
    /// Choose by an evaluation of the validation split (at evaluate.primary_beam) instead of
    /// the training's own scores; always so if a key is tried that only evaluation reads
    #[arg(long)]
    evaluate: bool,
    /// Leave the test split alone
    #[arg(long)]
    no_test: bool,
    /// Name of the sweep, with which those of its runs begin [default: the run's with -sweep]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only list the runs, and the stages that each would make
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many runs may run at the same time; each uses all cores unless --jobs says less
    #[arg(long, value_name = "N", default_value_t = 1)]
    at_once: usize,
    /// Number of threads of each stage [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where to make the runs' folders [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Cargo profile to build the stages with [default: ATTEND_PROFILE, else release]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// Runs all combinations, evaluates the best on the test split, and shows the table.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (sweep, mut rows) = Sweep::prepare(workspace, args)?;
    if args.dry_run {
        return sweep.tell(&rows);
    }
    let begun = sweep.begin()?;
    let failed = sweep.run(begun, args.at_once, &mut rows)?;
    let best = table::best(&rows).filter(|_| !args.no_test);
    let tested = best.map_or(Ok(Value::Null), |best| sweep.test(best));
    let [text, json] = sweep.write(&rows, tested.as_ref().unwrap_or(&Value::Null))?;
    match args.json {
        true => print_json(json)?,
        false => print(text)?,
    }
    tested?;
    failed.map_or(Ok(()), |code| Err(Error::Reported(code)))
}

/// A sweep that is ready to run.
struct Sweep {
    /// Its folder, for the table.
    folder: PathBuf,
    stages: Stages,
    /// The score that chooses.
    by: String,
    options: Options,
    runs: Vec<Run>,
}

/// A run of a sweep.
struct Run {
    prepared: Prepared,
    /// Its row in the table, and its index there.
    place: (usize, usize),
}

impl Sweep {
    /// Checks everything that can be checked before a stage runs. Also returns the table's
    /// rows, which are still without scores.
    fn prepare(workspace: &Workspace, args: &Args) -> Result<(Sweep, Vec<Row>)> {
        let options = Options {
            artifacts: args.artifacts.clone(),
            choice: args.choice.clone(),
            jobs: args.jobs,
            profile: args.profile.clone(),
            at_once: 4,
            ..Options::default()
        };
        let artifacts = options.artifacts(workspace);
        let path = args.choice.path(&artifacts)?;
        let with = |more: &[String]| Config::read(&path, &[&args.set[..], more].concat());
        let config = with(&[])?;
        let named = args.pipeline.as_deref();
        let pipeline = super::run::load(workspace, named, &config, &artifacts, &options)?;
        let name = match &args.name {
            Some(name) => name.clone(),
            None => config.run_name()? + "-sweep",
        };
        let folder = artifacts.join(&name);
        check_name(&folder, &name)?;
        let mut base = prepare(workspace, pipeline, &config, &[], &options)?;
        let tried = tried(args, &schema(&base.plan.stages)?)?;
        for one in &tried {
            for value in one.examples() {
                let checked = base.with(&with(&[format!("{}={value}", one.key)])?);
                checked.map_err(|e| Error::usage(e.to_string().replacen("--set", "--try", 1)))?;
            }
        }
        let combinations = match args.random {
            Some(number) => random(&tried, number, args.seed)?,
            None => grid(&tried)?,
        };
        let stages = Stages::of(&mut base, &tried, args.evaluate)?;
        let labels = labels(&combinations);
        let mut sweep = Sweep {
            folder,
            stages,
            by: args.by.clone(),
            options,
            runs: Vec::new(),
        };
        let mut rows = Vec::new();
        for (values, label) in combinations.into_iter().zip(labels) {
            let row = Row {
                name: format!("{name}-{label}"),
                values,
                runs: Vec::new(),
            };
            rows.push(sweep.with_runs(row, rows.len(), args, |own| base.with(&with(own)?))?);
        }
        Ok((sweep, rows))
    }

    /// Adds the runs of a row, one for each seed. `run` makes a run of its own parameters.
    fn with_runs(
        &mut self,
        mut row: Row,
        number: usize,
        args: &Args,
        run: impl Fn(&[String]) -> Result<Prepared>,
    ) -> Result<Row> {
        let seeds: Vec<Option<u64>> = match &args.seeds[..] {
            [] => vec![None],
            seeds => seeds.iter().copied().map(Some).collect(),
        };
        for seed in seeds {
            let end = seed.map_or_else(String::new, |seed| format!("-seed-{seed}"));
            let name = row.name.clone() + &end;
            let pairs = row
                .values
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            let seed_of_run = seed.map(|seed| format!("train.seed={seed}"));
            let own = pairs.chain(seed_of_run).chain([format!("run.name={name}")]);
            let mut prepared = run(&own.collect::<Vec<_>>())?;
            self.stages.name_split(&mut prepared);
            self.stages.check_score(&prepared, &self.by)?;
            if args.at_once > 1 {
                prepared.label = format!("{name}: ");
            }
            let place = (number, row.runs.len());
            self.runs.push(Run { prepared, place });
            row.runs.push(Entry {
                run: name,
                seed,
                end: None,
            });
        }
        Ok(row)
    }

    /// Lists the runs, and the stages that each would be the first to make.
    fn tell(&self, rows: &[Row]) -> Result<()> {
        let keys = rows.first().map_or(&[][..], |row| &row.values);
        let mut table = Table::new(vec![Left; keys.len() + 2]);
        let title = keys.iter().map(|(key, _)| key.as_str());
        table.row(["run"].into_iter().chain(title).chain(["would make"]));
        let mut made = BTreeSet::new();
        for run in &self.runs {
            let new = match self.stages.to_make(&run.prepared, &mut made) {
                new if new.is_empty() => "nothing".to_owned(),
                new => new.join(", "),
            };
            let row = &rows[run.place.0];
            let values = row.values.iter().map(|(_, value)| value.clone());
            let name = row.runs[run.place.1].run.clone();
            table.row([name].into_iter().chain(values).chain([new]));
        }
        print(table)
    }

    /// Asks the stages of all runs whether they will have what they need.
    fn begin(&self) -> Result<Vec<Begun>> {
        let _hold = child::hold();
        let wanted = self.stages.wanted();
        let begun = self.runs.iter().map(|run| {
            child::check()?;
            let begun = run.prepared.begin_asking(1, &wanted, &self.options);
            begun.inspect_err(|error| {
                if error.exit_code() != 130 {
                    say!("{} is refused; nothing was run", run.name());
                }
            })
        });
        begun.collect()
    }

    /// Runs all, and enters how each has ended. Returns the exit code of the first that has
    /// failed.
    ///
    /// # Errors
    /// [`Error::Reported`] (130) if it was interrupted, or that of writing the table.
    fn run<'a>(
        &'a self,
        begun: Vec<Begun>,
        at_once: usize,
        rows: &mut [Row],
    ) -> Result<Option<u8>> {
        let count = self.runs.len();
        let titles: Vec<String> = (self.runs.iter().zip(1..))
            .map(|(run, number)| {
                let row = &rows[run.place.0];
                let name = &row.runs[run.place.1].run;
                format!("[{number}/{count}] {name}: {}", shown(&row.values))
            })
            .collect();
        let waiting = Mutex::new(self.runs.iter().zip(titles).zip(begun));
        let next = || waiting.lock().unwrap_or_else(|e| e.into_inner()).next();
        let work = |done: Sender<(&'a Run, Result<()>)>| {
            while let Some(((run, title), begun)) = next() {
                let made = self.make(run, &title, begun);
                let is_last = made.as_ref().is_err_and(|error| error.exit_code() == 130);
                if done.send((run, made)).is_err() || is_last {
                    break;
                }
            }
        };
        std::thread::scope(|scope| {
            let (done, ends) = channel();
            for _ in 0..at_once.clamp(1, count) {
                let done = done.clone();
                scope.spawn(|| work(done));
            }
            drop(done);
            let mut failed = None;
            for (run, made) in ends {
                let end = made.and_then(|()| self.stages.score(&run.prepared, &self.by));
                let end = match end {
                    Err(error) if error.exit_code() == 130 => return Err(error),
                    Err(error) => {
                        failed.get_or_insert(error.exit_code());
                        Err(self.stages.reason(&run.prepared, &error))
                    }
                    Ok(score) => Ok(score),
                };
                rows[run.place.0].runs[run.place.1].end = Some(end);
                self.write(rows, &Value::Null)?;
            }
            Ok(failed)
        })
    }

    fn make(&self, run: &Run, title: &str, begun: Begun) -> Result<()> {
        let Run { prepared, .. } = run;
        let wanted = self.stages.wanted();
        if !begun.is_fresh(&wanted) {
            say!("{title}");
            return prepared.run_begun(begun, &wanted, &self.options, true);
        }
        say!("{title}: up to date");
        let mut steps = begun
            .steps
            .iter()
            .filter(|step| wanted.contains(&step.index));
        steps.try_for_each(|step| prepared.finish(step, prepared.place(step)?))
    }

    /// Evaluates the runs of a combination on the test split; returns the split, and run ->
    /// beam -> score -> value. `null` if no stage evaluates.
    fn test(&self, row: &Row) -> Result<Value> {
        let Some(evaluate) = self.stages.evaluate else {
            return Ok(Value::Null);
        };
        let (mut split, mut all) = (Value::Null, Map::new());
        let of_row = |run: &&Run| row.runs.iter().any(|entry| entry.run == run.name());
        for run in self.runs.iter().filter(of_row) {
            let Run { prepared, .. } = run;
            prepared.run(&self.stages.after_model(), &self.options, true)?;
            let output = &prepared.plan.stages[evaluate].0.output;
            let mut scores = read(&prepared.plan.run.path(output))?;
            split = scores["split"].take();
            all.insert(run.name(), scores["beams"].take());
        }
        Ok(json!({"split": split, "runs": all}))
    }

    /// Writes the table into the sweep's folder, for people and for programs; returns both.
    fn write(&self, rows: &[Row], test: &Value) -> Result<[String; 2]> {
        let first = self.runs.first();
        let score = first.map_or_else(String::new, |run| {
            self.stages.title(&run.prepared, &self.by)
        });
        let text = table::text(rows, &score, test);
        let json = format!("{:#}", table::json(rows, &score, test));
        write_if_new(&self.folder.join("table.txt"), &format!("{text}\n"))?;
        write_if_new(&self.folder.join("sweep.json"), &format!("{json}\n"))?;
        Ok([text, json])
    }
}

impl Run {
    fn name(&self) -> String {
        name(&self.prepared.plan.run.folder)
    }
}

/// Refuses a name that no folder can have, or that a run has.
fn check_name(folder: &Path, name: &str) -> Result<()> {
    if !is_plain(name) {
        return Err(Error::usage(format!(
            "--name {name}: can't be the name of a folder: use letters, digits, - and _"
        )));
    }
    match folder.join(CONFIG).exists() {
        true => Err(Error::usage(format!(
            "{} is a run; --name gives the sweep another name",
            workspace::shown(folder)
        ))),
        false => Ok(()),
    }
}

/// The keys to try, each once.
fn tried(args: &Args, schema: &Schema) -> Result<Vec<Tried>> {
    let refuse = |key: &str, why: &str| Err(Error::usage(format!("--try {key}: {why}")));
    let parse = |item: &String| Tried::parse(item, schema);
    let tried: Vec<Tried> = args.tried.iter().map(parse).collect::<Result<_>>()?;
    for (n, Tried { key, .. }) in tried.iter().enumerate() {
        if tried.iter().take(n).any(|other| other.key == *key) {
            return refuse(
                key,
                "the key stands there twice; give all its values at once",
            );
        }
        match key.as_str() {
            "train.seed" if !args.seeds.is_empty() => return refuse(key, "--seeds sets it, too"),
            "evaluate.split" => return refuse(key, "the validation split chooses"),
            key if key.starts_with("run.") => return refuse(key, "the sweep names its runs"),
            _ => {}
        }
    }
    let mut seeds = args.seeds.iter().enumerate();
    match seeds.find(|(n, seed)| args.seeds[..*n].contains(seed)) {
        Some((_, seed)) => Err(Error::usage(format!("--seeds: {seed} stands there twice"))),
        None => Ok(tried),
    }
}
