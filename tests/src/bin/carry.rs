//! Connects standard input and output with a TCP address: `carry 127.0.0.1:8443`. QEMU starts one for each connection that
//! a guest makes to a service of its network (`guestfwd=…-cmd:…`).

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    process::ExitCode,
    thread,
};

fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: carry ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match carry(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("carry {address}: {error}");
            ExitCode::from(5)
        }
    }
}

fn carry(address: &str) -> io::Result<()> {
    let inward = TcpStream::connect(address)?;
    inward.set_nodelay(true)?;
    let outward = inward.try_clone()?;
    // The answer's end ends the connection; the request's end only closes that direction.
    thread::spawn(move || {
        let _ = pump(&mut io::stdin().lock(), &mut &inward);
        let _ = inward.shutdown(Shutdown::Write);
    });
    pump(&mut &outward, &mut io::stdout().lock())
}

fn pump(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(&buffer[..count])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
