//! How TLS is begun in the dialogue with a mail server (RFC 3207). Nothing that is said in the clear counts afterwards,
//! and more than the answer that lets TLS begin is refused: somebody between could have said it.

use std::io;

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What stands for the server's greeting once TLS is there, as the server does not greet again.
pub(super) const GREETING: &[u8] = b"220 ready\r\n";
/// Most lines of an answer, and most bytes of a line with its end.
const LINES_MAX: usize = 64;
const LINE_BYTES_MAX: usize = 1024;

/// Asks for TLS; after this the handshake follows.
///
/// # Errors
/// When the connection fails, or the server does not offer TLS.
pub(super) async fn ask<S>(stream: &mut S, client: &ClientId) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    answer(stream, "220").await?;
    stream
        .write_all(format!("EHLO {client}\r\n").as_bytes())
        .await?;
    let offered = answer(stream, "250").await?;
    if !offered
        .iter()
        .any(|line| line.eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(io::Error::other("it does not offer STARTTLS"));
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    answer(stream, "220").await?;
    Ok(())
}

/// The lines of one answer, without their code.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S, code: &str) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = line(stream).await?;
        let (found, text) = line.split_at_checked(3).unwrap_or((&line, ""));
        if found != code {
            return Err(io::Error::other(format!("it answers {line:?}")));
        }
        let more = text.starts_with('-');
        lines.push(text.get(1..).unwrap_or_default().to_owned());
        if !more {
            return Ok(lines);
        }
    }
    Err(io::Error::other("it says too much"))
}

/// One line without its end, read byte by byte: what is behind it is left for who reads next.
async fn line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut bytes = Vec::new();
    while bytes.len() < LINE_BYTES_MAX {
        match stream.read_u8().await? {
            b'\n' => {
                let text = String::from_utf8_lossy(&bytes);
                return Ok(text.trim_end_matches('\r').to_owned());
            }
            byte => bytes.push(byte),
        }
    }
    Err(io::Error::other("it says too much"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(server: &str) -> (Result<(), String>, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(server.as_bytes()).await.expect("said");
        theirs.shutdown().await.expect("no more");
        let client = ClientId::Domain("fleet.example.com".to_owned());
        let answer = ask(&mut ours, &client).await;
        drop(ours);
        let mut said = String::new();
        // Half of what was said may be lost with the end.
        let _ = theirs.read_to_string(&mut said).await;
        (answer.map_err(|error| error.to_string()), said)
    }

    #[tokio::test]
    async fn tls_is_asked_for_where_it_is_offered() {
        let server = "220 mx\r\n250-mx\r\n250-SIZE 1\r\n250 starttls\r\n220 go\r\n";
        let (answer, said) = asked(server).await;
        assert_eq!(answer, Ok(()));
        assert_eq!(said, "EHLO fleet.example.com\r\nSTARTTLS\r\n");
        let (answer, said) = asked("220 mx\r\n250-mx\r\n250 SIZE 1\r\n").await;
        assert_eq!(answer, Err("it does not offer STARTTLS".to_owned()));
        assert_eq!(said, "EHLO fleet.example.com\r\n");
        for server in [
            "554 no\r\n",
            "220 mx\r\n550 no\r\n",
            "220 mx\r\n250 STARTTLS\r\n454 later\r\n",
            &"220-".repeat(1000),
            &"220-x\r\n".repeat(100),
            "220",
            "é\n",
        ] {
            assert!(asked(server).await.0.is_err(), "{server:?}");
        }
    }
}
