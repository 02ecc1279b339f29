using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class PlanTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public PlanTests() => folder.Write("model/config.json", """
        {"model_type": "llama", "vocab_size": 1024, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6,
         "num_attention_heads": 4, "max_position_embeddings": 512}
        """);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_gpu_that_is_not_here_is_planned_for_from_a_config_file_alone()
    {
        var json = JsonNode.Parse(Plan("--cutoff", "64k", "--rope", "yarn", "--device", "cuda", "--device-memory", "24GB", "--json").Exits(0).Output)!;
        Assert.Equal((65536, "bf16", true), ((int)json["cutoff_len"]!, (string)json["dtype"]!, (bool)json["fits"]!));
        Assert.Equal("yarn:factor=128", ((string)json["rope"]!).Split(',')[0]);
        Assert.Equal(24_000_000_000, (long)json["device_memory_bytes"]!);
        var parts = json["device_parts"]!.AsArray();
        Assert.Equal((long)json["peak_bytes"]!, parts.Where(part => (bool)part!["at_peak"]!).Sum(part => (long)part!["bytes"]!));
        Assert.True((int)json["largest_cutoff"]! > 65536);
    }

    [Fact]
    public void What_does_not_fit_ends_with_the_change_that_would()
    {
        var result = Plan("--cutoff", "64k", "--rope", "yarn", "--device", "cuda", "--device-memory", "5GB").Exits(1);
        Assert.Contains("recompute: layers", result.Error);
        Assert.Contains("does not fit", result.Output);
        Assert.Contains("largest cutoff", result.Output);
    }

    [Fact]
    public void A_step_takes_what_was_predicted()
    {
        foreach (var recompute in new[] { "none", "layers" })
        {
            var json = JsonNode.Parse(CutoffProcess.Run(
                "plan", "--model", folder["model"],
                "--cutoff", "1k", "--rope", "linear", "--device", "cpu", "--dtype", "fp32", "--set", $"recompute={recompute}", "--probe", "--json").Exits(0).Output)!;
            Assert.InRange((double)json["predicted_over_measured"]!, 0.75, 1.3);
        }
    }

    [Fact]
    public void What_is_missing_or_wrong_is_said()
    {
        Assert.Contains("--cutoff (cutoff_len)", Plan().Exits(1).Error);
        Assert.Contains("write 80GB", Plan("--cutoff", "1k", "--device-memory", "much").Exits(1).Error);
        if (!TorchSharp.torch.cuda.is_available())
        {
            Assert.Contains("--device-memory 80GB", Plan("--cutoff", "1k", "--device", "cuda").Exits(1).Error);
        }
    }

    private CutoffResult Plan(params string[] more) => Cutoff.Run(["plan", "--model", folder["model"], .. more]);
}
