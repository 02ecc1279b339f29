using System.Text.Json.Nodes;

namespace CutoffLen.LlamaCppTests;

/// <summary>A new user's way with the program: from a name on a hub to a GGUF file that llama.cpp continues a prompt with.</summary>
public sealed class WalkTests : IDisposable
{
    private const string Prompt = "It is a truth universally acknowledged, that";
    private const int Continued = 12;

    private static readonly string Demo = Path.Combine(Repository.Root, "configs", "demo");
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void From_a_name_on_the_hub_to_a_file_that_llama_cpp_continues_and_scores_alike()
    {
        using var hub = new LocalHub("org/tiny");
        foreach (var file in Directory.GetFiles(Path.Combine(Demo, "model")))
        {
            hub.Files[Path.GetFileName(file)] = File.ReadAllBytes(file);
        }

        folder.Write("text.txt", File.ReadAllText(Path.Combine(Demo, "northanger-abbey.jsonl"))[..20_000]);
        Run(hub.Endpoint, "finetune", "--model", "org/tiny", "--data", folder["text.txt"], "--cutoff", "512", "--rope", "yarn", "--steps", "2", "--out", folder["run"], "--dtype", "fp32", "--set", "learning_rate=1e-3");
        Run(null, "export", "--model", folder["run/final"], "--out", folder["tuned.gguf"], "--type", "f32");
        var generated = Run(null, "generate", "--model", folder["run/final"], "--prompt", Prompt, "--max-new-tokens", $"{Continued}", "--dtype", "fp32", "--json");
        int[] prompt = Ids(generated["prompt_ids"]!), ids = [.. prompt, .. Ids(generated["ids"]!)];

        using var llama = new LlamaCpp(folder["tuned.gguf"], 512);
        Assert.Equal(prompt, llama.Encode(Prompt, addSpecial: true));
        Assert.Equal(ids[prompt.Length..], llama.Continue(prompt, Continued));

        // The fine-tuned checkpoint, the exported file as it is read back, and llama.cpp.
        var tuned = Exported.Score(folder["run/final"], ids);
        Assert.Equal(tuned, Exported.Score(Exported.ReadBack(folder, "tuned.gguf"), ids));
        Assert.InRange(tuned.Zip(llama.Nll(ids), (a, b) => Math.Abs(a - b)).Max(), 0, 1e-3);
        Assert.True(Math.Abs(tuned.Average() - Exported.Score(Path.Combine(Demo, "model"), ids).Average()) > 1e-3, "fine-tuning changed nothing");
    }

    public void Dispose() => folder.Dispose();

    private static int[] Ids(JsonNode list) => [.. list.AsArray().Select(id => (int)id!)];

    /// <summary>The program's result with a hub, or offline.</summary>
    private JsonNode Run(Uri? hub, params string[] arguments)
    {
        string[] device = arguments[0] == "export" ? [] : ["--device", "cpu"];
        var result = CutoffProcess.Run([.. arguments, .. device], input: null, new Dictionary<string, string?>
        {
            ["HF_HOME"] = folder["hub"], ["HF_ENDPOINT"] = hub?.ToString(), ["HF_HUB_OFFLINE"] = hub is null ? "1" : null, ["HF_HUB_CACHE"] = null, ["HF_TOKEN"] = null, ["XDG_CACHE_HOME"] = folder["cache"],
        }).Exits(0);
        return arguments.Contains("--json") ? JsonNode.Parse(result.Output)! : new JsonObject();
    }
}
