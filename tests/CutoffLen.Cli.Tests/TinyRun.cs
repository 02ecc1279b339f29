
namespace CutoffLen.Cli.Tests;

/// <summary>A model of a few kilobytes with a tokenizer, texts, and the command line of a run on them.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public TinyRun() => TinyCheckpoint.SaveWithTexts(folder, texts: 6);

    public string this[string name] => folder[name];

    public void Write(string name, string text) => folder.Write(name, text);

    public CutoffResult Finetune(string run, params string[] more) => Cutoff.Run(Arguments(run, more));

    /// <summary>A step a line in the log, a checkpoint every second step; --data is what <paramref name="more"/> says, or the texts.</summary>
    public string[] Arguments(string run, params string[] more) =>
    [
        "finetune", "--model", folder["model"], .. more.Contains("--data") ? [] : new[] { "--data", folder["texts"] }, "--cutoff", "96", "--rope", "linear:factor=2", "--out", folder[run],
        "--dtype", "fp32", "--device", "cpu", "--threads", "1",
        "--set", "logging_steps=1", "warmup_steps=1", "learning_rate=1e-3", $"cache_dir={folder["cache"]}",
        .. more.Any(text => text.StartsWith("save_steps=", StringComparison.Ordinal)) ? [] : new[] { "save_steps=2" }, .. more,
    ];

    public void Dispose() => folder.Dispose();
}
