using System.Text.Json.Nodes;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class RopeCommandTests
{
    [Fact]
    public void List_names_every_method_and_modifier_with_its_keys()
    {
        var output = Cutoff.Run("rope", "list").Exits(0).Output;
        Assert.All(PositionMethods.All.Concat<SpecEntry>(PositionMethods.Modifiers).Concat(PositionMethods.Presets), entry =>
        {
            Assert.Contains(entry.Name, output, StringComparison.Ordinal);
            Assert.Contains(entry.Summary, output, StringComparison.Ordinal);
            Assert.Contains((entry as PresetEntry)?.Spec ?? "", output, StringComparison.Ordinal);
            Assert.All(entry.Keys, key => Assert.Contains($"{key.Name} ({key.DefaultText})", output, StringComparison.Ordinal));
        });
    }

    [Fact]
    public void List_as_json_has_what_a_program_needs_to_write_a_spec()
    {
        var list = JsonNode.Parse(Cutoff.Run("rope", "list", "--json").Exits(0).Output)!;
        Assert.Equal(PositionMethods.All.Select(entry => entry.Name), list["methods"]!.AsArray().Select(entry => (string)entry!["name"]!));
        Assert.Equal(PositionMethods.Modifiers.Select(entry => entry.Name), list["modifiers"]!.AsArray().Select(entry => (string)entry!["name"]!));
        var dca = list["methods"]!.AsArray().Single(entry => (string)entry!["name"]! == "dca")!;
        Assert.Equal((true, true, "2402.17463"), ((bool)dca["depends_on_length"]!, (bool)dca["alters_attention"]!, (string)dca["paper"]!));
        var mscale = dca["keys"]!.AsArray().Single(key => (string)key!["name"]! == "mscale")!;
        Assert.Equal(("false", "true or false"), ((string)mscale["default"]!, (string)mscale["allowed"]!));
        Assert.Equal("DistanceOnly", (string)dca["exceptions"]![0]!["theory"]!);
    }

    [Fact]
    public void Show_as_json_gives_exact_frequencies_and_fills_in_the_factor()
    {
        var shown = JsonNode.Parse(Cutoff.Run(
            "rope", "show", "yarn", "--head-dim", "64", "--base", "500000", "--original", "2k", "--length", "8k", "--json").Exits(0).Output)!;
        var model = new PositionModel(64, 500_000, 2048, 1, 1);
        var expected = new PositionSetup(PositionMethods.Parse("yarn:factor=4"), model).Method.RotaryFrequencies(8192)!;
        Assert.Equal("yarn:factor=4,original=2048", (string)shown["spec"]!);
        Assert.Equal(8192, (int)shown["length"]!);
        Assert.Equal(expected.AttentionScale, (double)shown["attention_scale"]!);
        Assert.Equal(expected.InverseFrequencies, shown["inv_freq"]!.AsArray().Select(value => (double)value!));
        var band = Assert.Single(shown["bands"]!.AsArray())!;
        Assert.Equal(("rotation", 0, 8191, 8192L * 8193 / 2), ((string)band["queries"]!, (int)band["nearest"]!, (int)band["farthest"]!, (long)band["pairs"]!));
        Assert.True((bool)shown["differs_from_vanilla"]!);
        Assert.Equal(RopeTheory.LeastBase(64, 8192), (double)shown["theory"]!["least_base"]!);
    }

    [Fact]
    public void Show_has_a_part_for_each_method_of_a_layer_plan()
    {
        var parts = JsonNode.Parse(Cutoff.Run("rope", "show", "yarn@3::4=nope", "--original", "2k", "--length", "8k", "--json").Exits(0).Output)!.AsArray();
        Assert.Equal(
            [(null, "yarn:factor=4,original=2048"), ("3::4", "nope")],
            parts.Select(part => ((string?)part!["layers"], (string)part["report"]!["spec"]!)));
        Assert.All(parts[1]!["report"]!["inv_freq"]!.AsArray(), frequency => Assert.Equal(0, (double)frequency!));
        var output = Cutoff.Run("rope", "show", "entropy-abf", "--length", "64").Exits(0).Output;
        Assert.Contains("other layers:\nabf:base=500000+logn:original=4096 ", output, StringComparison.Ordinal);
        Assert.Contains("layers 0:2:\nabf:base=500000 ", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Show_gives_the_bands_of_methods_with_several()
    {
        var shown = JsonNode.Parse(Cutoff.Run("rope", "show", "rerope:window=100+bca:window=1000", "--original", "2000", "--json").Exits(0).Output)!;
        var bands = shown["bands"]!.AsArray();
        Assert.Equal([(0, 99), (100, 999)], bands.Select(band => ((int)band!["nearest"]!, (int)band["farthest"]!)));
        Assert.Equal("unchanged", (string)bands[1]!["keys"]!);
    }

    [Fact]
    public void Show_works_for_methods_that_do_not_rotate()
    {
        var shown = JsonNode.Parse(Cutoff.Run("rope", "show", "alibi", "--heads", "8", "--length", "64", "--json").Exits(0).Output)!;
        Assert.Empty(shown["inv_freq"]!.AsArray());
        Assert.Equal(0.5, (double)shown["bands"]![0]!["slopes"]![0]!);
        Assert.Contains("biased by distance", Cutoff.Run("rope", "show", "alibi", "--length", "64").Exits(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Show_plots_wavelengths_against_the_native_context()
    {
        var output = Cutoff.Run("rope", "show", "p-rope", "--original", "4096").Exits(0).Output;
        Assert.Contains("p-rope", output, StringComparison.Ordinal);
        Assert.Contains("critical dimension 92 of 128", output, StringComparison.Ordinal);
        Assert.Equal(32, output.Split('\n').Count(line => line.Contains('●')));
        Assert.Contains("never", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("yarn:factor=0", "yarn's factor must be a number from 1 to 65536, not '0'")]
    [InlineData("yarm", "unknown method 'yarm' (did you mean yarn?)")]
    [InlineData("longrope:long=1/2", "longrope's long must have 64 factors")]
    [InlineData("auto", "needs a checkpoint")]
    public void A_wrong_spec_is_one_line_and_exit_1(string spec, string part)
    {
        var result = Cutoff.Run("rope", "show", spec).Exits(1);
        Assert.Contains(part, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Fact]
    public void Search_prints_the_spec_that_the_saved_model_has()
    {
        using var run = new TinyRun();
        string[] arguments =
        [
            "rope", "search", "--model", run["model"], "--data", run["texts"], "--length", "128", "--documents", "1", "--population", "4", "--generations", "1",
            "--mutations", "1", "--crossovers", "1", "--no-start-tokens", "--out", run["search"], "--dtype", "fp32", "--device", "cpu", "--threads", "1",
        ];
        var found = JsonNode.Parse(Cutoff.Run([.. arguments, "--json"]).Exits(0).Output)!;
        Assert.Equal(run["search/final"], (string)found["checkpoint"]!);
        Assert.Equal((string)found["spec"]!, (string)JsonNode.Parse(Cutoff.Run("inspect", run["search/final"], "--json").Exits(0).Output)!["positions"]!["method"]!);
        // Again, with nothing left to measure.
        var again = Cutoff.Run(arguments).Exits(0).Output;
        Assert.Contains($"{(double)found["long_factors"]!["perplexity"]!:0.000} (prefix, {(int)found["long_factors"]!["candidates"]!} candidates)", again, StringComparison.Ordinal);
        // Of the tiny model's two pairs the faster one turns ten times in its 64 tokens.
        Assert.Contains("1 (theoretical 1)", Cutoff.Run([.. arguments, "--critical-pair", "search"]).Exits(0).Output, StringComparison.Ordinal);
        Assert.Contains("--length", Assert.Single(Cutoff.Run("rope", "search", "--model", "m", "--data", "d", "--length", "1").Exits(1).ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public void Pairs_are_ordered_and_their_order_goes_with_the_checkpoint_through_training()
    {
        using var run = new TinyRun();
        const string spec = "dpe:scale_factors=2/4,local_window=16,topk=1";
        string[] machine = ["--dtype", "fp32", "--device", "cpu", "--threads", "1"];
        string[] Tune(string model) =>
            ["finetune", "--model", run[model], "--data", run["texts"], "--cutoff", "96", "--rope", spec, "--steps", "1", "--out", run["tuned"], .. machine, "--set", $"cache_dir={run["cache"]}"];
        Assert.Contains("'cutoff rope pairs' makes one", Cutoff.Run(Tune("model")).Exits(1).Error, StringComparison.Ordinal);
        var made = Cutoff.Run(["rope", "pairs", "--model", run["model"], "--data", run["texts"], "--length", "64", "--documents", "2", "--out", run["pairs"], .. machine]).Exits(0);
        Assert.Contains("2 texts of 64 tokens", made.Output, StringComparison.Ordinal);
        Assert.Contains("'cutoff rope pairs' makes one, which --model names", Assert.Single(Cutoff.Run("rope", "show", spec).Exits(1).ErrorLines), StringComparison.Ordinal);
        var shown = JsonNode.Parse(Cutoff.Run("rope", "show", spec, "--model", run["pairs"], "--length", "40", "--json").Exits(0).Output)!;
        Assert.Equal(
            [("rotation", 0, 15), ("rotation by head", 16, 39)],
            shown["bands"]!.AsArray().Select(band => ((string)band!["keys"]!, (int)band["nearest"]!, (int)band["farthest"]!)));
        Assert.Equal("cutoff: --base: --model has it; give one of them", Assert.Single(Cutoff.Run("rope", "show", spec, "--model", run["pairs"], "--base", "500").Exits(1).ErrorLines));
        Cutoff.Run(Tune("pairs")).Exits(0);
        Assert.StartsWith($"{spec}   head dimension ", Cutoff.Run("rope", "show", "auto", "--model", run["tuned/final"]).Exits(0).Output, StringComparison.Ordinal);
        Assert.Equal(spec, (string)JsonNode.Parse(Cutoff.Run("inspect", run["tuned/final"], "--json").Exits(0).Output)!["positions"]!["method"]!);
        Assert.Contains("no text has 1000000 tokens", Cutoff.Run("rope", "pairs", "--model", run["model"], "--data", run["texts"], "--length", "1000000", "--out", run["none"]).Exits(1).Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(run["none"]));
    }

    [Fact]
    public void Wrong_options_are_one_line_and_exit_1()
    {
        Assert.Contains("--head-dim", Assert.Single(Cutoff.Run("rope", "show", "rope", "--head-dim", "3").Exits(1).ErrorLines), StringComparison.Ordinal);
        Assert.Contains("even head dimension", Assert.Single(Cutoff.Run("rope", "show", "rope", "--head-dim", "5").Exits(1).ErrorLines), StringComparison.Ordinal);
        Assert.Contains("--base", Assert.Single(Cutoff.Run("rope", "show", "rope", "--base", "nan").Exits(1).ErrorLines), StringComparison.Ordinal);
        Assert.Contains("256k", Assert.Single(Cutoff.Run("rope", "show", "rope", "--length", "1m").Exits(1).ErrorLines), StringComparison.Ordinal);
    }
}
