using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

public sealed class AttentionChoiceTests
{
    private static readonly LlamaConfig Config = TinyModels.Config();

    [Theory]
    [InlineData("sdpa", AttentionPath.Sdpa)]
    [InlineData("blocked", AttentionPath.Blocked)]
    public void A_path_that_is_named_is_taken(string asked, AttentionPath expected) => Assert.Equal(expected, Choose(asked, "rope", 4096).Path);

    [Fact]
    public void Another_word_is_an_error_that_lists_the_paths() =>
        Assert.Contains("'flash' is not one of auto, sdpa, blocked", Assert.Throws<UserException>(() => Choose("flash", "rope", 8)).Message);

    [Fact]
    public void Short_rows_on_a_cpu_are_not_measured()
    {
        var choice = Choose("auto", "rope", 512);
        Assert.Equal((AttentionPath.Blocked, "rows of 512 tokens on a CPU"), (choice.Path, choice.Reason));
    }

    [Fact]
    public void Methods_that_alter_attention_are_blocked()
    {
        var choice = Choose("auto", "rerope", 2048);
        Assert.Equal((AttentionPath.Blocked, "the position method alters attention"), (choice.Path, choice.Reason));
    }

    [Fact]
    public void Long_rows_are_measured_where_libtorch_has_a_fused_kernel_and_nothing_else_notices()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var drawn = rand(3).data<float>().ToArray();
        manual_seed(4);
        var choice = Choose("auto", "rope", 2048);

        Assert.Equal(drawn, rand(3).data<float>().ToArray());
        Assert.True(backends.cuda.math_sdp_enabled());
        Assert.True(choice.Reason.Contains(" ms with sdpa, ", StringComparison.Ordinal)
            || choice == new AttentionChoice(AttentionPath.Blocked, "this libtorch has no fused kernel for it"), choice.Reason);
    }

    private static AttentionChoice Choose(string asked, string spec, int length) => AttentionChoice.Of(
        asked, new PositionSetup(PositionMethods.Parse(spec), Config.Positions, length).Method, Config, CPU, ScalarType.Float32, 1, length);
}
