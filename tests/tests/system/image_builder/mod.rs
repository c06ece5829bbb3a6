//! What IT does: profiles, masters, personal layers, images of others, and where all of it is kept.

mod inside;
mod masters;
mod object_server;
mod objects;
mod personalise;
mod profiles;
mod ready_made;
mod routes;
mod saas_update;
mod supplied;
