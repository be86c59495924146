//! nginx, which serves twice: as the origin of files (`origin`), and as a yardstick beside hyper's, the
//! plain reverse proxy of this file.
//!
//! The proxy says where our own yardstick stands. When the bounds were set, nginx forwarded 59k
//! requests a second, 32 at once, and the bare proxy of hyper's that was theirs 36k: 0.6 of it. The one
//! of `proxy.rs` does less for a request and about keeps up with nginx, so that the same share of it
//! asks for more.
//!
//! Leaves to others: the files, and the load.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use crate::{
    Outcome,
    load::Endpoint,
    loopback::{Origins, UnderTest},
    origin::ECHO_PATH,
    processes::{Place, Running, free_port, on_path, wait_for_listener},
};

/// Its name in the tables.
pub(crate) const NGINX: &str = "nginx";

/// In one process, so that it is one id to start, account for and end.
const CONFIG: &str = "daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log error;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    access_log off;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    {http}
}
";

/// Pooled connections to both origins. Answers are buffered as nginx does by default, but never in
/// files: what one path writes to a disk the others do not. For the same reason uploads pass as they
/// come.
const PROXY: &str = "
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_max_temp_file_size 0;
    proxy_request_buffering off;
    client_max_body_size 0;
    upstream files {
        server {files};
        keepalive 256;
        keepalive_requests 100000000;
    }
    upstream live {
        server {live};
        keepalive 256;
        keepalive_requests 100000000;
    }
    server {
        listen {files_public};
        location / { proxy_pass http://files; }
    }
    server {
        listen {live_public};
        location / { proxy_pass http://live; }
        location = {echo} {
            proxy_pass http://live;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
";

/// Starts it in `dir` with what its configuration says within `http`, and waits until `listener` is
/// there.
pub(crate) async fn start(
    dir: &Path,
    place: &Place,
    http: &str,
    listener: SocketAddr,
) -> Outcome<Running> {
    if !on_path("nginx") {
        return Err("nginx is not installed: apt-get install nginx-light".into());
    }
    let config_file = dir.join("nginx.conf");
    let dir_text = dir.to_string_lossy();
    let config = CONFIG.replace("{http}", http).replace("{dir}", &dir_text);
    fs::write(&config_file, config)?;
    let arguments = ["-p", &dir_text, "-c", &config_file.to_string_lossy()];
    let mut nginx = Running::start("nginx", dir, place, "nginx", &arguments)?;
    wait_for_listener(&mut nginx, listener).await?;
    Ok(nginx)
}

/// Starts the reverse proxy as a path.
pub(crate) async fn start_proxy(dir: &Path, origins: Origins) -> Outcome<UnderTest> {
    let dir = dir.join("nginx-proxy");
    fs::create_dir_all(&dir)?;
    let public = || Outcome::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
    let (files, live) = (public()?, public()?);
    let http = PROXY
        .replace("{files}", &origins.files.to_string())
        .replace("{live}", &origins.live.to_string())
        .replace("{files_public}", &files.to_string())
        .replace("{live_public}", &live.to_string())
        .replace("{echo}", ECHO_PATH);
    let nginx = start(&dir, &Place::default(), &http, live).await?;
    Ok(UnderTest {
        name: NGINX.to_owned(),
        files: Endpoint::plain(files),
        live: Endpoint::plain(live),
        processes: vec![nginx.id()],
        running: vec![nginx],
    })
}
