using System.Text.Json;

namespace CutoffLen.Cli.Tests;

/// <summary>The program where libtorch does not load: a copy of it without the native libraries.</summary>
public sealed class MissingTorchTests : IDisposable
{
    private static readonly string Demo = Path.Combine(Repository.Root, "configs", "demo");
    private static readonly string Model = Path.Combine(Demo, "model");
    private static readonly string Text = Path.Combine(Demo, "persuasion.jsonl");
    private readonly TemporaryFolder folder = new();

    public MissingTorchTests()
    {
        foreach (var file in Directory.EnumerateFiles(AppContext.BaseDirectory).Where(file => !file.EndsWith(".so", StringComparison.Ordinal)))
        {
            File.Copy(file, folder[Path.GetFileName(file)]);
        }
    }

    [Fact]
    public void Every_verb_that_needs_it_says_so_in_one_line_and_the_others_work()
    {
        folder.Write("ids.json", "[1,2,3]");
        folder.Write("adapters/adapter_config.json", $$"""
            {"peft_type": "LORA", "base_model_name_or_path": "{{Model}}", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
            """);
        folder.Write("adapters/adapter_model.safetensors", [2, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}']);
        folder.Write("done/config.yaml", "cutoff_len: 512");
        folder.Write("done/log.jsonl", "");
        string[] run = ["--model", Model, "--data", Text, "--cutoff", "512", "--out", folder["run"], "--set", $"cache_dir={folder["cache"]}"];
        var needing = new Dictionary<string, string[]>
        {
            ["check"] = [],
            ["init"] = ["--config", Model, "--out", folder["new"]],
            ["plan"] = ["--model", Model, "--cutoff", "512"],
            ["finetune"] = run,
            ["verify-resume"] = run,
            ["export"] = ["--model", Model, "--out", folder["model.gguf"]],
            ["merge"] = ["--model", folder["adapters"], "--out", folder["merged"]],
            ["eval-ppl"] = ["--model", Model, "--data", Text, "--out", folder["ppl"]],
            ["sweep"] = ["--config", Path.Combine(Demo, "demo.yaml"), "--out", folder["sweep"], "--set", $"model={Model}", $"data={Text}", $"eval_data={Text}"],
            ["reproduce"] = ["pi-table", "--config", Path.Combine(Repository.Root, "configs", "reproduce", "pi-table.yaml"), "--out", folder["table"], "--set", $"model={Model}", $"data={Text}", $"eval_data={Text}"],
            ["passkey"] = ["--model", Model, "--out", folder["passkey"]],
            ["summarize"] = ["eval", "--model", Model, "--data", Text, "--out", folder["summaries"]],
            ["ruler"] = ["--model", Model, "--out", folder["ruler"]],
            ["posgen"] = ["accuracy", "--model", Model],
            ["demo"] = ["--out", folder["demo"]],
            ["score"] = ["--model", Model, "--tokens", folder["ids.json"]],
            ["generate"] = ["--model", Model, "--prompt", "the"],
        };
        var others = new Dictionary<string, string[]>
        {
            ["env"] = [],
            ["inspect"] = [Model],
            ["tokenize"] = ["--model", Model, "the"],
            ["rope"] = ["show", "yarn", "--length", "8k"],
            ["runs"] = [folder["done"]],
        };
        Assert.Equal(CommandLine.Create().Subcommands.Select(verb => verb.Name).Order(), needing.Keys.Concat(others.Keys).Order());
        Assert.All(needing, verb =>
            Assert.StartsWith("cutoff: libtorch does not load: ", Assert.Single(Run([verb.Key, "-q", .. verb.Value]).Exits(1).ErrorLines), StringComparison.Ordinal));
        Assert.All(others, verb => Assert.Empty(Run([verb.Key, .. verb.Value]).Exits(0).Error));
    }

    [Fact]
    public void The_program_starts_and_env_tells_what_is_missing()
    {
        using var document = JsonDocument.Parse(Run("env", "--json").Exits(0).Output);
        var torch = document.RootElement.GetProperty("torch");
        Assert.Equal(JsonValueKind.Null, torch.GetProperty("libtorch").ValueKind);
        Assert.NotEmpty(torch.GetProperty("problem").GetString()!);
        Assert.Contains("does not load", Run("env").Exits(0).Output, StringComparison.Ordinal);
        Run("--help").Exits(0);
    }

    public void Dispose() => folder.Dispose();

    private CutoffResult Run(params string[] arguments) =>
        CutoffProcess.Run(arguments, null, workingDirectory: Repository.Root, executable: folder[Path.GetFileName(CutoffProcess.Executable)]);
}
