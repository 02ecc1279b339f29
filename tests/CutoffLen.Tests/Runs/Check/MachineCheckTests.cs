using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Models;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Runs.Check;

public sealed class MachineCheckTests
{
    private static readonly DeviceAndDtype Cpu = DeviceAndDtype.Choose("cpu", "fp32");

    [Fact]
    public void A_reduced_check_finds_nothing_off_but_perhaps_memory_which_tests_share()
    {
        var notes = new List<string>();
        var settings = new CheckSettings(["rope", "dca"], TinyModels.Config(), [64, 90], 128, 0.01);
        var report = MachineCheck.Run(Cpu, settings, new RunProgress((task, share, note) => notes.Add($"{task} {share:0.00} {note}")));

        Assert.Empty(report.Methods.Where(error => error.IsOff).Select(error => error.Describe()));
        Assert.Equal(
            ["rope blocked", "rope sdpa", "rope blocked packed", "rope sdpa packed", "dca blocked", "dca blocked packed", "QLoRA (nf4) blocked"],
            report.Methods.Select(error => $"{error.Method} {error.Attention}{(error.Packed ? " packed" : "")}"));
        Assert.All(report.Methods, error => Assert.InRange(error.Gradients, 1e-9, 1e-5));
        Assert.Equal([(64, "sdpa"), (90, "sdpa")], report.Speed.Select(at => (at.Length, at.Attention)));
        Assert.All(report.Speed, at => Assert.True(at is { TrainingTokensPerSecond: > 0, ScoringTokensPerSecond: > 0 }, $"{at}"));
        Assert.True(report.Memory is { PlannedBytes: > 0, MeasuredBytes: > 0 }, $"{report.Memory}");
        Assert.NotEmpty(report.Resume);
        Assert.All(report.Resume, values => Assert.Equal(0, values.Different));
        Assert.Equal(["check 0.00 memory at 128", "check 0.14 rope", "check 1.00 "], [notes[0], notes[1], notes[^1]]);
    }

    [Fact]
    public void A_cancelled_check_ends() =>
        Assert.Throws<OperationCanceledException>(() => MachineCheck.Run(Cpu, stop: new CancellationToken(canceled: true)));

    [Fact]
    public void It_has_every_method_and_every_modifier_and_layers_with_different_ones()
    {
        var byLayers = MethodCheck.Specs.Select(PositionMethods.Parse).ToLookup(spec => spec.Layers.Count > 0);
        Assert.NotEmpty(byLayers[true]);
        Assert.Equal(
            PositionMethods.All.Select(entry => entry.Name).Concat(PositionMethods.Modifiers.Select(entry => entry.Name)).Order(),
            byLayers[false].Select(spec => spec.Modifiers.LastOrDefault(spec.Method).Entry.Name).Order());
    }

    [Fact]
    public void A_wrong_method_is_off_on_every_path_and_named()
    {
        using var scope = NewDisposeScope();
        using var check = new MethodCheck(Cpu);
        var errors = check.Compare("yarn", check.LayersOf("yarn:factor=4"), check.LayersOf("yarn:factor=4.01"));
        Assert.Equal(["blocked", "sdpa", "blocked", "sdpa"], errors.Select(error => error.Attention));
        Assert.All(errors, error => Assert.True(error.IsOff, $"{error}"));
        Assert.StartsWith("yarn, attention sdpa, two packed documents: the logits are ", errors[^1].Describe());
    }

    [Fact]
    public void Weights_in_4_bits_that_are_other_numbers_are_off()
    {
        using var scope = NewDisposeScope();
        using var check = new MethodCheck(Cpu);
        var dense = check.OfAdapters(weight => weight);
        Assert.True(dense is { Logits: > MethodCheck.BFloat16Bound, Gradients: > MethodCheck.BFloat16Bound }, $"{dense}");
        Assert.StartsWith("QLoRA (nf4), attention blocked: the logits are ", dense.Describe());
        Assert.True(check.OfAdapters(weight => InBlocksOf(weight, 128)).IsOff);

        static Tensor InBlocksOf(Tensor weight, int size) => tensor(PlainNf4.Quantize(weight.data<float>().ToArray(), size, nested: true).Dequantize(size)).view(weight.shape);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void Vanilla_rope_in_place_of_any_method_is_off_even_by_the_bound_of_bfloat16()
    {
        using var scope = NewDisposeScope();
        using var check = new MethodCheck(Cpu);
        var rope = check.Expected(check.LayersOf("rope"));
        foreach (var spec in MethodCheck.Specs.Where(spec => spec != "rope"))
        {
            using var step = NewDisposeScope();
            var pass = check.Expected(check.LayersOf(spec));
            var error = MethodError.Of(spec, AttentionPath.Blocked, packed: false, pass, rope.Logits, name => rope.Gradients[name], MethodCheck.BFloat16Bound);
            Assert.True(error.IsOff, $"{error}");
        }
    }

    [Fact]
    public void A_wrong_gradient_is_off_and_named_and_so_is_one_that_is_not_a_number()
    {
        using var scope = NewDisposeScope();
        using var check = new MethodCheck(Cpu);
        var expected = check.Expected(check.LayersOf("rope"));
        const string wrong = "model.layers.1.self_attn.v_proj.weight";

        Assert.False(Compare(1).IsOff);
        var off = Compare(1.001);
        Assert.True(off.IsOff);
        Assert.Contains($"the gradient of {wrong} 1.0e-3 from those in float64, bound 1.0e-4", off.Describe());
        Assert.True(Compare(double.NaN) is { IsOff: true, Parameter: wrong });

        MethodError Compare(double factor) => MethodError.Of(
            "rope", AttentionPath.Sdpa, packed: false, expected, expected.Logits,
            name => name == wrong ? expected.Gradients[name] * factor : expected.Gradients[name], MethodCheck.Float32Bound);
    }

    [Fact]
    [Trait("Category", "Slow")] // where the CPU does not multiply bfloat16
    public void In_bfloat16_rounding_is_within_the_bound_and_another_method_is_not()
    {
        using var scope = NewDisposeScope();
        using var check = new MethodCheck(new DeviceAndDtype(CPU, ScalarType.BFloat16, ""));
        Assert.All(check.Of("rope").Append(check.OfAdapters()), error => Assert.True(!error.IsOff && error.Gradients > 1e-3, $"{error}"));
        Assert.All(check.Compare("linear", check.LayersOf("rope"), check.LayersOf("linear")), error => Assert.True(error.IsOff, $"{error}"));
    }

    [Theory]
    [InlineData(1000, 999, false)]
    [InlineData(1000, 1140, false)]
    [InlineData(1000, 1260, true)]
    [InlineData(1000, 790, true)]
    public void Memory_far_from_the_plan_is_off(long planned, long measured, bool isOff)
    {
        var report = new CheckReport([], 1, [], new MemoryComparison(512, planned, measured), [new ComparedValues("weights", 10, 0)]);
        Assert.Equal(isOff ? 1 : 0, report.Faults.Count);
        Assert.All(report.Faults, fault => Assert.StartsWith("memory at a cutoff of 512: ", fault));
    }

    [Fact]
    public void A_resumed_run_with_other_bits_is_off() => Assert.Equal(
        ["resume: weights, 3 of 10 values differ"],
        new CheckReport([], 1, [], new MemoryComparison(512, 1, 1), [new ComparedValues("loss of each step", 4, 0), new ComparedValues("weights", 10, 3)]).Faults);
}
