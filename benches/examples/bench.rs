//! Runs a scenario without the rest of the program.

fn main() -> Result<(), nakku_benches::BenchError> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    // As the program itself it may be called with `bench` in front.
    let words: Vec<String> = std::env::args().skip(1).skip_while(|word| word == "bench").collect();
    let rest = words.get(1..).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(nakku_benches::command(words.first().map(String::as_str), rest, std::env::current_exe()?))
}
