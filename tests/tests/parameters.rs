//! The page of all parameters says what the programs say.

use attend_testing::Run;
use attend_tests::program;

#[test]
fn every_parameter_has_its_meaning_on_an_up_to_date_page() {
    let mut xtask = program("xtask");
    let programs = std::path::Path::new(xtask.get_program()).parent().unwrap();
    let programs = programs.to_owned();
    xtask.args(["parameters", "--check"]);
    xtask.env("ATTEND_BIN_DIR", programs).ok();
}
