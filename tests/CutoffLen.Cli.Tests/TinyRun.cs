
namespace CutoffLen.Cli.Tests;

/// <summary>A model of a few kilobytes with a tokenizer, texts, and the command line of a run on them.</summary>
internal sealed class TinyRun : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public TinyRun() => TinyCheckpoint.SaveWithTexts(folder, texts: 6);

    public string this[string name] => folder[name];

    public void Write(string name, string text) => folder.Write(name, text);

    public CutoffResult Finetune(string run, params string[] more) => Cutoff.Run(Arguments(run, more));

    public string[] Arguments(string run, params string[] more) => TinyCheckpoint.FinetuneArguments(folder, run, more);

    public void Dispose() => folder.Dispose();
}
