//! A person before the screen: keys by a virtual keyboard (wtype), and eyes (grim). Fails where the
//! compositor does not take them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use super::desk::Desk;
use crate::picture::Picture;

/// Milliseconds for which a new keymap is there before the first key of it, which would be lost.
const KEYMAP: u32 = 150;

impl Desk {
    /// Presses a key with others held, such as `["ctrl", "shift"]` and `k`; names as xkbcommon has them.
    ///
    /// # Errors
    /// Where the compositor does not take it.
    pub async fn press(&self, held: &[&str], key: &str) -> Result<()> {
        let down = held.iter().map(|name| format!("-M {name} ")).collect::<String>();
        let up = held.iter().rev().map(|name| format!("-m {name} ")).collect::<String>();
        self.run_at_the_screen(&format!("wtype -s {KEYMAP} {down} -k {key} {up}")).await.map(drop)
    }

    /// Types a text.
    ///
    /// # Errors
    /// Where the compositor does not take it.
    pub async fn type_text(&self, text: &str) -> Result<()> {
        self.run_at_the_screen(&format!("wtype -s {KEYMAP} '{text}'")).await.map(drop)
    }

    /// Types a text and the Enter key, by one keyboard.
    ///
    /// # Errors
    /// Where the compositor does not take it.
    pub async fn enter(&self, text: &str) -> Result<()> {
        self.run_at_the_screen(&format!("wtype -s {KEYMAP} '{text}' -k Return")).await.map(drop)
    }

    /// Looks at the screen; the picture is kept as `name` in `folder`.
    ///
    /// # Errors
    /// Where there is no screen.
    pub async fn look(&self, folder: &Path, name: &str) -> Result<Picture> {
        Picture::read(&self.keep(folder, name).await?)
    }

    /// Keeps a picture of the screen as `name` in `folder`, for who looks later.
    ///
    /// # Errors
    /// Where there is no screen.
    pub async fn keep(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        // Compressed as little as possible: a second for sixty pictures, and not for six.
        self.run_at_the_screen("grim -l 1 /run/kiosk/screen.png").await?;
        let path = folder.join(format!("{name}.png"));
        let written = fs::write(&path, self.machine.read("/run/kiosk/screen.png")?);
        written.map_err(|error| Fault::internal("a picture can't be kept").at(path.display()).cause(error))?;
        Ok(path)
    }

    /// The titles of all windows, as the compositor knows them.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn windows(&self) -> Result<Vec<String>> {
        let tree: serde_json::Value = self.run_at_the_screen("swaymsg -r -t get_tree").await?.json()?;
        let mut titles = Vec::new();
        let mut nodes = vec![&tree];
        while let Some(node) = nodes.pop() {
            if node["pid"].is_number() {
                titles.push(node["name"].as_str().unwrap_or_default().to_owned());
            }
            nodes.extend(["nodes", "floating_nodes"].iter().filter_map(|kind| node[kind].as_array()).flatten());
        }
        Ok(titles)
    }
}
