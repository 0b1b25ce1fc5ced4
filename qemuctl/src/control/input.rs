//! Keyboard and mouse.

use std::time::Duration;

use qmp_proto::{
    InputAxis, InputBtnEvent, InputBtnEventWrapper, InputButton, InputEvent, InputMoveEvent,
    InputMoveEventWrapper, InputSendEvent, KeyValue, QKeyCode, QKeyCodeWrapper, SendKey,
};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as NoWord, StrDeserializer};

use crate::error::Error;
use crate::instance::Instance;

use super::keymap;

/// How long it takes to type a character.
const PACE: Duration = Duration::from_millis(30);

/// The longest time its keys are pressed. Guests repeat a key that is pressed for some 250 ms.
const HOLD: Duration = Duration::from_millis(15);

/// The largest coordinate of an absolute pointer, at the right and lower edge.
const POINTER_MAX: f64 = 32767.0;

/// A mouse button, or a step of the wheel.
pub type MouseButton = InputButton;

/// # Keyboard and mouse
impl Instance {
    /// Sends a key combination, such as `["ctrl", "alt", "delete"]`. Accepts QEMU's key names and common ones, such as
    /// `Enter`, `Space`, `Del` and `PageUp`, ignoring case.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for an unknown key name; otherwise as [`Instance::execute`].
    pub async fn send_keys<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Result<(), Error> {
        let keys = keys.into_iter().map(|key| self.key(key.as_ref())).collect::<Result<_, _>>()?;
        self.execute(SendKey::new(keys)).await.map(drop)
    }

    /// Types text with the US keyboard layout, at a speed that guests can follow, and returns when it has been typed.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the layout has no key for a character; nothing is typed then. Otherwise as
    /// [`Instance::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, part of the text has been typed.
    pub async fn type_text(&self, text: &str) -> Result<(), Error> {
        self.type_text_at(PACE, text).await
    }

    /// Like [`Instance::type_text`], with a given time for each character, at least 2 ms.
    ///
    /// A keyboard buffers a dozen bytes, which is less than three capital letters, and loses the rest. A busy guest
    /// that does not read it for 80 ms needs more than the 30 ms of [`Instance::type_text`].
    ///
    /// # Errors
    ///
    /// As [`Instance::type_text`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, part of the text has been typed.
    pub async fn type_text_at(&self, pace: Duration, text: &str) -> Result<(), Error> {
        let hold = (pace / 2).clamp(Duration::from_millis(1), HOLD);
        let strokes: Vec<_> = text
            .chars()
            .map(|letter| keymap::stroke(letter).ok_or(letter))
            .collect::<Result<_, _>>()
            .map_err(|letter| self.no_key(&letter.to_string()))?;
        for keys in strokes {
            let mut command = SendKey::new(keys.iter().map(|key| self.key(key)).collect::<Result<_, _>>()?);
            command.hold_time = Some(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX));
            self.execute(command).await?;
            // QEMU's queue is short and drops keys, so wait as long as this one takes.
            tokio::time::sleep(pace.max(2 * hold)).await;
        }
        Ok(())
    }

    /// Moves an absolute pointer (a tablet) to a position on the screen: (0, 0) is the upper left corner, (1, 1) the
    /// lower right.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn move_pointer_to(&self, x: f64, y: f64) -> Result<(), Error> {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
        let scale = |part: f64| (part.clamp(0.0, 1.0) * POINTER_MAX).round() as i64;
        let axis =
            |axis, part| InputEvent::Abs(InputMoveEventWrapper::new(InputMoveEvent::new(axis, scale(part))));
        self.send_input(vec![axis(InputAxis::X, x), axis(InputAxis::Y, y)]).await
    }

    /// Moves a relative pointer (a mouse) by a number of units.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn move_pointer_by(&self, dx: i64, dy: i64) -> Result<(), Error> {
        let axis = |axis, by| InputEvent::Rel(InputMoveEventWrapper::new(InputMoveEvent::new(axis, by)));
        self.send_input(vec![axis(InputAxis::X, dx), axis(InputAxis::Y, dy)]).await
    }

    /// Clicks a mouse button.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn click(&self, button: MouseButton) -> Result<(), Error> {
        for down in [true, false] {
            let event = InputBtnEvent::new(button.clone(), down);
            self.send_input(vec![InputEvent::Btn(InputBtnEventWrapper::new(event))]).await?;
        }
        Ok(())
    }

    async fn send_input(&self, events: Vec<InputEvent>) -> Result<(), Error> {
        self.execute(InputSendEvent::new(events)).await.map(drop)
    }

    fn key(&self, name: &str) -> Result<KeyValue, Error> {
        let canonical = keymap::canonical(name);
        let word: StrDeserializer<'_, NoWord> = canonical.as_str().into_deserializer();
        match QKeyCode::deserialize(word) {
            Ok(QKeyCode::Unknown(_)) | Err(_) => Err(self.no_key(name)),
            Ok(code) => Ok(KeyValue::Qcode(QKeyCodeWrapper::new(code))),
        }
    }

    fn no_key(&self, name: &str) -> Error {
        Error::Unsupported {
            action: "sending keys to",
            name: self.name().to_owned(),
            reason: format!("no key is called {name:?}"),
        }
    }
}
