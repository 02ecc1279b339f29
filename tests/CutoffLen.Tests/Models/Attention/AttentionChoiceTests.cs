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

    [Theory]
    [InlineData("rope", AttentionPath.Sdpa, "libtorch has a fused kernel for it")]
    [InlineData("yarn:factor=4", AttentionPath.Sdpa, "libtorch has a fused kernel for it")]
    [InlineData("rerope", AttentionPath.Blocked, "the position method alters attention")]
    [InlineData("rope+bca", AttentionPath.Blocked, "the position method alters attention")]
    public void Auto_is_the_fused_kernel_where_it_computes_the_method(string spec, AttentionPath path, string reason)
    {
        Assert.Equal(new AttentionChoice(path, reason), Choose("auto", spec, 512));
        Assert.Equal(new AttentionChoice(path, reason), Choose("auto", spec, 100_000));
    }

    private static AttentionChoice Choose(string asked, string spec, int length) => AttentionChoice.Of(
        asked, new PositionSetup(PositionMethods.Parse(spec), Config.Positions, length).Method, Config, CPU, ScalarType.Float32, length);
}
