//! `audience doctor`: looks at everything that a start needs, changes nothing, and says the fix of each fault.

pub(crate) mod finding;
mod machine;
mod pair;
mod servers;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use self::finding::{Finding, Verdict};
use crate::settings::{ServeFlags, ServeSettings};

/// The settings of the start to look at. They are those of `audience serve`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    flags: ServeFlags,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Diagnosis {
    /// True if a start with these settings takes work.
    can_start: bool,
    findings: Vec<Finding>,
}

/// Exit status 0: a start takes work; 1: something keeps it from that.
pub(crate) fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let findings = match ServeSettings::load(args.flags) {
        Ok(settings) => look(&settings),
        Err(error) => {
            let fix = "correct the setting; `audience serve --help` and docs/settings.md list all of them";
            vec![Finding::fault("settings", format!("{error:#}"), fix)]
        }
    };
    let can_start = findings.iter().all(|finding| finding.verdict != Verdict::Fault);
    let diagnosis = Diagnosis { can_start, findings };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&diagnosis)?);
    } else {
        print!("{}", table(&diagnosis));
    }
    Ok(if can_start { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at everything that a start with these settings needs.
pub(crate) fn look(settings: &ServeSettings) -> Vec<Finding> {
    let mut findings = vec![Finding::good("settings", "they can be read, and fit each other")];
    findings.extend(machine::look(settings));
    findings.extend(servers::look(settings));
    findings.extend(pair::look(settings));
    findings
}

fn table(diagnosis: &Diagnosis) -> String {
    let widest = diagnosis.findings.iter().map(|finding| finding.part.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { part, verdict, found, fix } in &diagnosis.findings {
        let word = match verdict {
            Verdict::Good => "good",
            Verdict::Warning => "WARNING",
            Verdict::Fault => "FAULT",
        };
        text += &format!("{word:<7}  {part:<widest$}  {found}\n");
        if let Some(fix) = fix {
            text += &format!("{:<7}  {:<widest$}  fix: {fix}\n", "", "");
        }
    }
    let faults = diagnosis.findings.iter().filter(|finding| finding.verdict == Verdict::Fault).count();
    text += &match faults {
        0 => "A start with these settings takes work.\n".to_owned(),
        1 => "One fault keeps a start from taking work.\n".to_owned(),
        faults => format!("{faults} faults keep a start from taking work.\n"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_its_fix() {
        let findings = vec![
            Finding::good("disk", "5 GiB are free"),
            Finding::fault("PostgreSQL", "nothing answers", "start it, or correct --postgres"),
        ];
        let text = table(&Diagnosis { can_start: false, findings });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "good     disk        5 GiB are free",
                "FAULT    PostgreSQL  nothing answers",
                "                     fix: start it, or correct --postgres",
                "One fault keeps a start from taking work.",
            ]
        );
    }
}
