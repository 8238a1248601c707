//! Scripts for people who run the jobs themselves.

use super::job::{Job, Jobs, Resources, line, quoted};
use super::slurm;
use attend_program::{At, Error, Result, whole};
use serde_json::json;
use std::path::{Path, PathBuf};

/// For what scripts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// A script for each job, and submit.sh
    Slurm,
    /// A manifest for each job, and run.sh
    Kubernetes,
    /// A Makefile
    Make,
}

/// Writes the scripts into the run's folder; returns the one to start with.
///
/// # Errors
/// [`Error::Internal`] if they can't be written.
pub fn emit(jobs: &Jobs, target: Target) -> Result<PathBuf> {
    let folder = jobs.artifacts.join(&jobs.run);
    let (folder, files) = match target {
        Target::Slurm => {
            let folder = folder.join("slurm");
            let mut files = slurm::scripts(jobs, &folder);
            files.push(("submit.sh".to_owned(), submit(jobs, &folder)));
            (folder, files)
        }
        Target::Kubernetes => {
            let mut files = manifests(jobs)?;
            files.push(("run.sh".to_owned(), apply(&files)));
            (folder.join("kubernetes"), files)
        }
        Target::Make => (folder, vec![("Makefile".to_owned(), makefile(jobs))]),
    };
    std::fs::create_dir_all(&folder).at(&folder)?;
    for (name, text) in &files {
        write(&folder.join(name), text)?;
    }
    let start = files.last().map_or("", |(name, _)| name);
    Ok(folder.join(start))
}

/// Writes a script that can be started.
pub fn write(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    whole::write_bytes(path, text)?;
    if text.starts_with("#!") {
        let mode = path.metadata().at(path)?.permissions().mode();
        let mode = mode | (mode & 0o444) >> 2; // who may read it may start it
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).at(path)?;
    }
    Ok(())
}

fn variable(stage: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("job_{}", stage.chars().map(plain).collect::<String>())
}

fn submit(jobs: &Jobs, folder: &Path) -> String {
    let mut text = format!(
        "#!/bin/sh\nset -eu\ncd {}\n",
        quoted(&folder.display().to_string())
    );
    for job in &jobs.jobs {
        let after = job
            .after
            .iter()
            .map(|stage| format!(":${}", variable(stage)));
        let after: String = after.collect();
        let variable = variable(&job.stage);
        let mut after = match after.is_empty() {
            true => String::new(),
            false => format!("--dependency=afterok{after} "),
        };
        for script in slurm::names(job) {
            let begin = format!("{variable}=$(sbatch --parsable --kill-on-invalid-dep=yes");
            text += &format!("{begin} {after}{})\n", quoted(&script));
            after = format!("--dependency=afterok:${variable} ");
        }
        text += &format!("echo {} ${variable}\n", quoted(&job.stage));
    }
    text
}

fn makefile(jobs: &Jobs) -> String {
    let stages: Vec<&str> = jobs.jobs.iter().map(|job| job.stage.as_str()).collect();
    let mut text =
        "# Run it with `make -f` and this file; -j runs several jobs at once.\n".to_owned();
    for (name, value) in jobs.environment() {
        text += &format!("export {name} = {}\n", value.replace('$', "$$"));
    }
    text += &format!("all: {}\n.PHONY: all {0}\n", stages.join(" "));
    let here = quoted(&jobs.here.display().to_string());
    let recipe = |job: &Job, more: &[&str]| {
        let line = line(&jobs.command(job, more));
        format!("\tcd {here} && {}\n", line).replace('$', "$$")
    };
    for job in &jobs.jobs {
        let (stage, after) = (&job.stage, job.after.join(" "));
        if !job.is_shared() {
            text += &format!("\n{stage}: {after}\n{}", recipe(job, &[]));
            continue;
        }
        let count = job.resources.tasks;
        let tasks: Vec<String> = (1..=count).map(|n| format!("{stage}.{n}")).collect();
        text += &format!("\n.PHONY: {}\n", tasks.join(" "));
        for (n, task) in (1..=count).zip(&tasks) {
            let task_of = format!("{n}/{count}");
            text += &format!("{task}: {after}\n{}", recipe(job, &["--task", &task_of]));
        }
        text += &format!(
            "{stage}: {}\n{}",
            tasks.join(" "),
            recipe(job, &["--finalize"])
        );
    }
    text
}

/// A Kubernetes Job for each job, as JSON, which is YAML, too.
fn manifests(jobs: &Jobs) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for job in &jobs.jobs {
        let parts: &[(&str, &[&str])] = match job.is_shared() {
            true => &[("", &["--task", "$(TASK)"]), ("-finalize", &["--finalize"])],
            false => &[("", &[])],
        };
        for (end, more) in parts {
            let name = format!("{}-{}{end}", jobs.run, job.stage).to_lowercase();
            let name = name.replace(['_', '.'], "-");
            let is_array = more.contains(&"$(TASK)");
            let text = manifest(jobs, job, &name, more, is_array);
            let text = serde_json::to_string_pretty(&text).map_err(Error::internal)?;
            files.push((format!("{:02}-{name}.json", files.len() + 1), text + "\n"));
        }
    }
    Ok(files)
}

fn manifest(
    jobs: &Jobs,
    job: &Job,
    name: &str,
    more: &[&str],
    is_array: bool,
) -> serde_json::Value {
    let count = if is_array { job.resources.tasks } else { 1 };
    let environment = jobs.environment().into_iter();
    let environment: Vec<_> = environment
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mut limits = serde_json::Map::new();
    let Resources {
        cpus, memory, gpus, ..
    } = &job.resources;
    if *cpus > 0 {
        limits.insert("cpu".to_owned(), json!(cpus.to_string()));
    }
    if !memory.is_empty() {
        // Slurm's 16G are 16 * 1024^3 bytes, as Kubernetes' 16Gi.
        limits.insert("memory".to_owned(), json!(format!("{memory}i")));
    }
    if *gpus > 0 {
        limits.insert("nvidia.com/gpu".to_owned(), json!(gpus.to_string()));
    }
    // Indices of Kubernetes begin at 0, those of our tasks at 1.
    let words = jobs.command(job, more);
    let command = line(&words).replace(
        "'$(TASK)'",
        &format!("$((JOB_COMPLETION_INDEX + 1))/{count}"),
    );
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimit": 3 * count,
            "template": {"spec": {
                "restartPolicy": "OnFailure",
                "containers": [{
                    "name": "attend",
                    "image": "IMAGE",
                    "workingDir": jobs.here,
                    "command": ["sh", "-c", format!("exec {command}")],
                    "env": environment,
                    "resources": {"limits": limits},
                    "volumeMounts": [{"name": "data", "mountPath": "MOUNT"}],
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "CLAIM"}}],
            }},
        },
    })
}

/// Applies the manifests one after the other.
fn apply(files: &[(String, String)]) -> String {
    let mut text = include_str!("kubernetes.sh").to_owned();
    for (name, _) in files {
        text += &format!("job {}\n", quoted(name));
    }
    text
}
