//! A network line that can be cut: a TCP proxy in front of one address. Only the demo
//! needs one, to take the network from one device.

use std::io;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The state of the line, which carries something or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Up,
    Down,
}

/// A line to one address. Ends when dropped.
pub struct Line {
    address: SocketAddr,
    carrier: watch::Sender<Carrier>,
    task: JoinHandle<()>,
}

impl Line {
    /// Opens a line to `target` on a free port.
    ///
    /// # Errors
    /// Of the listener.
    pub async fn open(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((target.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let (carrier, watched) = watch::channel(Carrier::Up);
        let task = tokio::spawn(accept(listener, target, watched));
        Ok(Self {
            address,
            carrier,
            task,
        })
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and lets none through until [`Line::mend`].
    pub fn cut(&self) {
        self.carrier.send_replace(Carrier::Down);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.carrier.send_replace(Carrier::Up);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, carrier: watch::Receiver<Carrier>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut carrier = carrier.clone();
        if *carrier.borrow_and_update() == Carrier::Down {
            continue;
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = forward(client, target) => {}
                // Also when the line itself is gone.
                _ = carrier.wait_for(|carrier| *carrier == Carrier::Down) => {}
            }
        });
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_cut_line_breaks_what_is_open_and_a_mended_one_carries_again() {
        let line = Line::open(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        let mut byte = [0];
        stream.write_all(b"a").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        line.cut();
        assert!(!matches!(stream.read(&mut byte).await, Ok(1..)));
        let mut refused = TcpStream::connect(line.address()).await.unwrap();
        assert!(!matches!(refused.read(&mut byte).await, Ok(1..)));
        line.mend();
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        stream.write_all(b"b").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
    }
}
