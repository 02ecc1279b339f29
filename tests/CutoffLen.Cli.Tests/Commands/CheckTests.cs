using System.CommandLine;
using System.Text.Json.Nodes;
using CutoffLen.Cli.Commands;
using CutoffLen.Cli.Interaction;
using CutoffLen.Common;
using CutoffLen.Runs;
using CutoffLen.Runs.Check;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class CheckTests
{
    private static readonly CheckReport Right = new(
        [
            new MethodError("rope", "blocked", false, 2e-7, 3e-6, "model.norm.weight", 1e-4),
            new MethodError("rope", "sdpa", false, 3e-7, 2e-6, "lm_head.weight", 1e-4),
            new MethodError("dca", "blocked", true, 1e-7, 1e-6, "lm_head.weight", 1e-4),
        ],
        5_270_784, [new LengthSpeed(512, "blocked", "rows of 512 tokens on a CPU", 1234.4, 5678)],
        new MemoryComparison(4096, 1_000_000_000, 990_000_000), [new ComparedValues("weights", 1000, 0)]);

    [Fact]
    public void A_right_machine_gets_a_line_a_check_and_exits_0()
    {
        var (output, failure) = Run(Right);
        Assert.Null(failure);
        Assert.Matches(@"(?m)^torch +libtorch ", output);
        Assert.Matches(@"│ rope +│ logits 3\.0e-7, gradients 3\.0e-6 \(blocked, sdpa\) +│ 1e-4 +│ ok ", output);
        Assert.Matches(@"│ dca +│ logits 1\.0e-7, gradients 1\.0e-6 \(blocked packed\) +│ 1e-4 +│ ok ", output);
        Assert.Matches(@"│ attention at 512 +│ blocked \(rows of 512 tokens on a CPU\) ", output);
        Assert.Matches(@"│ speed at 512 +│ 1,234 tokens/s in training, 5,678 in scoring \(5,270,784 parameters\) ", output);
        Assert.Matches(@"│ memory at 4096 +│ 0\.99 GB, 0\.99 of 1\.00 GB planned +│ 0\.87 to 1\.15 │ ok ", output);
        Assert.Matches(@"│ resume +│ 0 of 1,000 values differ +│ 0 +│ ok ", output);
        Assert.EndsWith("this machine is right\n", output);
    }

    [Fact]
    public void What_is_off_is_marked_and_named_and_exits_1()
    {
        var wrong = Right with
        {
            Methods = [.. Right.Methods, new MethodError("yarn", "sdpa", false, double.NaN, 2e-7, "lm_head.weight", 1e-4)],
            Resume = [new ComparedValues("weights", 1000, 1)],
        };
        var (output, failure) = Run(wrong);
        Assert.Equal(1, ExitCode(failure!));
        Assert.Equal(
            """
            this machine is off in 2 checks:
              yarn, attention sdpa: the logits are NaN and the gradient of lm_head.weight 2.0e-7 from those in float64, bound 1.0e-4
              resume: weights, 1 of 1000 values differ
            """, failure!.Message);
        Assert.Matches(@"│ yarn +│ logits NaN, gradients 2\.0e-7 \(sdpa\) +│ 1e-4 +│ off ", output);
        Assert.Matches(@"│ rope .* ok ", output);
        Assert.Matches(@"│ resume +│ 1 of 1,000 values differ +│ 0 +│ off ", output);
        Assert.EndsWith("this machine is off\n", output);
    }

    [Fact]
    public void What_torch_cannot_compute_is_off_and_says_why()
    {
        var failed = new MethodError("alibi", "blocked", false, double.NaN, double.NaN, "", 1e-4) { Failure = "torch fails: no kernel" };
        var (output, failure) = Run(Right with { Methods = [failed] });
        Assert.Contains("\n  alibi, attention blocked: torch fails: no kernel", failure!.Message);
        Assert.Matches(@"│ alibi +│ torch fails: no kernel +│ 1e-4 +│ off ", output);
    }

    [Fact]
    public void Json_has_the_same()
    {
        var (output, failure) = Run(Right with { Memory = Right.Memory with { MeasuredBytes = 2_000_000_000 } }, "--json");
        Assert.Equal(1, ExitCode(failure!));
        var json = JsonNode.Parse(output)!;
        Assert.Equal(["machine", "methods", "parameters", "speed", "memory", "resume", "faults"], json.AsObject().Select(pair => pair.Key));
        Assert.Equal("cpu", (string)json["machine"]!["device"]!);
        Assert.Equal(3e-6, (double)json["methods"]![0]!["gradients"]!);
        Assert.Equal(2.0, (double)json["memory"]!["measured_over_planned"]!);
        Assert.StartsWith("memory at a cutoff of 4096: 2.00 GB measured", (string)json["faults"]!.AsArray().Single()!);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void The_whole_check_finds_this_machine_right()
    {
        var json = JsonNode.Parse(CutoffProcess.Run("check", "--device", "cpu", "--dtype", "fp32", "--json").Exits(0).Output)!;
        Assert.Empty(json["faults"]!.AsArray());
    }

    private static int ExitCode(Exception failure)
    {
        using var interruption = new Interruption();
        return (int)Failure.Report(failure, interruption, TextWriter.Null);
    }

    /// <summary>The command with a check that found this.</summary>
    private static (string Output, UserException? Failure) Run(CheckReport report, params string[] options)
    {
        using var output = new StringWriter();
        var root = new RootCommand { CheckCommand.Create((_, _, _) => report) };
        var threads = TorchSharp.torch.get_num_threads();
        try
        {
            root.Parse(["check", "--device", "cpu", "--dtype", "fp32", "--threads", "1", .. options]).InvokeAsync(new Terminal(output, TextWriter.Null)).GetAwaiter().GetResult();
            return (output.ToString(), null);
        }
        catch (UserException failure)
        {
            return (output.ToString(), failure);
        }
        finally
        {
            TorchSharp.torch.set_num_threads(threads);
            Logging.Stop();
        }
    }
}
