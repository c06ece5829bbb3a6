//! i3bar's protocol: blocks as an endless JSON array on standard output, clicks as another on standard input
//! (swaybar-protocol(7)).

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::mpsc,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Block {
    /// Stands in its clicks too.
    pub name: &'static str,
    pub full_text: String,
    /// Its text's colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<&'static str>,
    separator_block_width: u32,
}

impl Block {
    /// In the bar's own colour.
    pub(crate) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, full_text: text.into(), color: None, separator_block_width: 36 }
    }

    /// In another colour.
    pub(crate) fn colour(self, colour: &'static str) -> Self {
        Self { color: Some(colour), ..self }
    }
}

/// The button of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "u32")]
pub(crate) enum Button {
    Left,
    /// The wheel, away from the person.
    Up,
    /// The wheel, towards the person.
    Down,
    Other,
}

impl From<u32> for Button {
    fn from(number: u32) -> Self {
        match number {
            1 => Self::Left,
            4 => Self::Up,
            5 => Self::Down,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Click {
    /// The block's.
    pub name: String,
    pub button: Button,
}

/// Standard output, as i3bar's protocol has it.
pub(crate) struct Output<W>(W);

impl<W: AsyncWrite + Unpin> Output<W> {
    /// Says which version, and that clicks are wanted.
    ///
    /// # Errors
    /// Exit 1 where it can't be written to.
    pub(crate) async fn begin(pipe: W) -> Result<Self> {
        let mut output = Self(pipe);
        output.write(b"{\"version\":1,\"click_events\":true}\n[\n").await?;
        Ok(output)
    }

    /// Draws all blocks anew.
    ///
    /// # Errors
    /// Exit 1 where it can't be written to.
    pub(crate) async fn draw(&mut self, blocks: &[Block]) -> Result<()> {
        let mut line = serde_json::to_vec(blocks).map_err(|error| Fault::internal("a block does not encode").cause(error))?;
        line.extend(b",\n");
        self.write(&line).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let broken = |error: std::io::Error| Fault::internal("the bar is gone").cause(error);
        self.0.write_all(bytes).await.map_err(broken)?;
        self.0.flush().await.map_err(broken)
    }
}

/// Clicks, from a task of its own.
pub(crate) fn clicks(pipe: impl AsyncRead + Unpin + Send + 'static) -> mpsc::Receiver<Click> {
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(click) = parse(&line)
                && sender.send(click).await.is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// A line of the endless array: a click, perhaps with a comma before or after it.
fn parse(line: &str) -> Option<Click> {
    serde_json::from_str(line.trim_matches([',', '[', ' '])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_found_in_the_endless_array() {
        let click = parse(r#",{"name":"sound","instance":"","x":3,"button":4,"event":274}"#).unwrap();
        assert_eq!((click.name.as_str(), click.button), ("sound", Button::Up));
        assert!(parse("[").is_none() && parse("{}").is_none());
        assert_eq!(parse(r#"{"name":"leave","button":1},"#).unwrap().button, Button::Left);
    }

    #[tokio::test]
    async fn the_output_is_an_endless_array() {
        let mut bytes = Vec::new();
        Output::begin(&mut bytes).await.unwrap().draw(&[Block::new("clock", "12:00").colour("#fff")]).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("{\"version\":1,\"click_events\":true}\n[\n[{\"name\":\"clock\",\"full_text\":\"12:00\""),
            "{text}"
        );
        assert!(text.ends_with("}],\n"), "{text}");
    }
}
