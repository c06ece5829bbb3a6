//! The devices' files are part of the program: it is compiled again where one came, went or changed, which `include_dir!` does not say.

fn main() {
    println!("cargo::rerun-if-changed=files");
}
