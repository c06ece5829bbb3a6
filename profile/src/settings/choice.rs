//! Settings with a fixed choice of words that the program distinguishes: kinds, hardware, what follows a finished device.

use serde::Serialize;

macro_rules! choices {
    ($(#[$doc:meta])* $type:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $type {
            $($(#[$item_doc])* #[serde(rename = $word)] $item),+
        }

        impl $type {
            /// The word that a profile writes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$item => $word),+
                }
            }

            /// From the word that a profile writes.
            pub(crate) fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$item),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choices! {
    /// What is built.
    Kind {
        /// A thin terminal: a closed browser on the Citrix sign-in page.
        Terminal = "terminal",
        /// A laptop with a desktop.
        Laptop = "laptop",
        /// The agent's boot medium.
        Agent = "agent",
        /// A ready-made disk image, taken as it is.
        Import = "import",
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Terminal, Self::Laptop, Self::Agent, Self::Import];
}

choices! {
    /// A device that the image runs on.
    Hardware {
        /// A virtual machine: virtio devices.
        Qemu = "qemu",
        /// Dell Wyse 5070 thin client.
        Wyse5070 = "wyse-5070",
        /// Dell Latitude 5000 series laptops.
        Latitude5000 = "latitude-5000",
    }
}

choices! {
    /// What the agent does when a device is done.
    After {
        /// Power it off.
        PowerOff = "power-off",
        /// Start it again, into the image.
        Reboot = "reboot",
        /// Leave it on, with the result on the console.
        Stay = "stay",
    }
}
