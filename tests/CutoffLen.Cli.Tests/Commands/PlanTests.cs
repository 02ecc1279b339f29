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
        Assert.Equal((long)json["peak_bytes"]!, parts.Sum(part => (long)part!["bytes"]!));
        Assert.True((int)json["largest_cutoff"]! > 65536);
    }

    [Fact]
    public void What_does_not_fit_ends_with_the_change_that_would()
    {
        var result = Plan("--cutoff", "64k", "--rope", "yarn", "--device", "cuda", "--device-memory", "3GB").Exits(1);
        Assert.Contains("recompute: mlp", result.Error);
        Assert.Contains("does not fit", result.Output);
        Assert.Contains("largest cutoff", result.Output);
    }

    [Theory]
    [InlineData("--cutoff 1k --dtype fp32 --rope linear")]
    [InlineData("--cutoff 2k --dtype fp32 --rope rope --set recompute=mlp")]
    [InlineData("--cutoff 2k --dtype fp32 --rope rope --set recompute=layers --set attention=blocked")]
    [InlineData("--cutoff 512 --dtype fp32 --rope rope --set per_device_train_batch_size=6 --method lora --set attention=blocked")]
    [InlineData("--cutoff 2k --dtype fp32 --rope dca")]
    [InlineData("--cutoff 1k --dtype fp32 --rope dpe:scale_factors=2/8/4/1,topk=8")]
    public void A_step_takes_what_was_predicted_within_a_tenth(string run)
    {
        var json = JsonNode.Parse(CutoffProcess.Run(
            ["plan", "--model", folder["model"], "--device", "cpu", .. run.Split(' '), "--probe", "--json"]).Exits(0).Output)!;
        Assert.InRange((double)json["predicted_over_measured"]!, 0.9, 1.1);
    }

    [Fact]
    [Trait("Category", "Slow")] // where the CPU does not multiply bfloat16
    public void So_does_one_in_bfloat16() => A_step_takes_what_was_predicted_within_a_tenth("--cutoff 1k --dtype bf16 --rope rope --set gradient_accumulation_steps=2");

    [Fact]
    public void What_is_missing_or_wrong_is_said()
    {
        Assert.Contains("--cutoff (cutoff_len)", Plan().Exits(1).Error);
        Assert.Contains("write 80GB", Plan("--cutoff", "1k", "--device-memory", "much").Exits(1).Error);
        Assert.Contains("needs a multiple of 2 ranks", Plan("--cutoff", "1k", "--device", "cpu", "--set", "context_parallel_size=2", "--probe").Exits(1).Error);
        if (!TorchSharp.torch.cuda.is_available())
        {
            Assert.Contains("--device-memory 80GB", Plan("--cutoff", "1k", "--device", "cuda").Exits(1).Error);
        }
    }

    private CutoffResult Plan(params string[] more) => Cutoff.Run(["plan", "--model", folder["model"], .. more]);
}
