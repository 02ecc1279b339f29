using System.Text;
using CutoffLen.Common;
using CutoffLen.Hub;
using CutoffLen.Runs;

namespace CutoffLen.Tests.Hub;

/// <summary>A cache, and a hub with a model.</summary>
public abstract class HubFixture : IDisposable
{
    private protected const string Repository = "hub/models--org--tiny";
    private protected const string Snapshot = $"{Repository}/snapshots/{LocalHub.Commit}";

    private protected readonly TemporaryFolder folder = new();
    private protected readonly LocalHub hub = new();

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected string Refused(string name, bool weights = true, bool offline = false) =>
        Assert.Throws<UserException>(() => Files(offline: offline).Model(name, weights)).Message;

    private protected HubFiles Files(string? token = null, bool offline = false, IRunDisplay? display = null, CancellationToken stop = default) =>
        new(Settings(hub) with { Token = token, IsOffline = offline }, display, stop);

    private protected HubSettings Settings(LocalHub of) =>
        new(folder["hub"], of.Endpoint) { RetryDelay = TimeSpan.FromMilliseconds(1) };

    /// <summary>Gives the hub a model of 3 kB of weights, and files that nobody needs.</summary>
    private protected void AddModel(long maxShardBytes = long.MaxValue)
    {
        foreach (var file in Directory.GetFiles(TinyCheckpoint.Save(folder["made"], maxShardBytes: maxShardBytes)))
        {
            hub.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        }

        foreach (var name in new[] { "generation_config.json", "tokenizer.json", "tokenizer_config.json" })
        {
            hub.Files[name] = Encoding.UTF8.GetBytes($"{{\"name\":\"{name}\"}}");
        }

        foreach (var name in new[] { "README.md", "pytorch_model.bin", "original/consolidated.safetensors", "onnx/config.json" })
        {
            hub.Files[name] = new byte[2000];
        }
    }
}
