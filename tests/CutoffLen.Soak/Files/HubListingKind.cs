using System.Text.Json;
using CutoffLen.Hub;
using CutoffLen.Runs;

namespace CutoffLen.Soak.Files;

/// <summary>The hub's listing of a model. Whatever it says, only files of the hub get into the cache, and none anywhere else.</summary>
internal sealed class HubListingKind() : DamagedKind("hub_listing", "listing.json")
{
    private readonly Lazy<LocalHub> started = new(() => new LocalHub()); // kinds are also made to be counted

    public override void Prepare(TemporaryFolder folder)
    {
        var hub = started.Value;
        foreach (var name in new[] { "config.json", "tokenizer.json", "tokenizer_config.json", "README.md" })
        {
            hub.Files[name] = JsonSerializer.SerializeToUtf8Bytes(new { name });
        }

        folder.Write(FileName, hub.Listing());
        hub.Listing = () => File.ReadAllBytes(folder[FileName]);
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    public override Meaning Read(TemporaryFolder folder)
    {
        Directory.CreateDirectory(folder["hub"]).Delete(recursive: true);
        var files = new HubFiles(new HubSettings(folder["hub"], started.Value.Endpoint));
        return Meaning.Of(string.Join('\n', Directory.GetFiles(files.Model("org/tiny", weights: false)).Order(StringComparer.Ordinal)
            .Select(file => $"{Path.GetFileName(file)} {File.ReadAllText(file)}")));
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) =>
        found.Text.Split('\n').Except(original.Text.Split('\n')).FirstOrDefault(line => line.Length > 0);

    public override bool IsNamed(string refusal) => refusal.StartsWith("org/tiny: ", StringComparison.Ordinal);
}
