using CutoffLen.Common;
using CutoffLen.Positions;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>What computes plain causal attention. Methods that alter attention have the blocked path only.</summary>
public enum AttentionPath
{
    /// <summary>Ours, tile by tile.</summary>
    Blocked,

    /// <summary>libtorch's fused kernels.</summary>
    Sdpa,
}

/// <summary>A path, and why it was taken.</summary>
/// <param name="Path">The path.</param>
/// <param name="Reason">For people.</param>
public sealed record AttentionChoice(AttentionPath Path, string Reason)
{
    /// <summary>What <c>attention</c> may say.</summary>
    public const string Auto = "auto";

    // Every other pattern than a plain one shows in so many tokens, but for windows that are longer: these see the plain
    // pattern up to their first edge, and a plan follows its own bands.
    private const int MostTokens = 4096;

    /// <summary>
    /// The path that a setting names; for auto the fused one where there is one. It is the faster one at every length measured
    /// (scripts/bench/README.md). On a GPU its kernels need bfloat16.
    /// </summary>
    /// <param name="asked">auto, sdpa or blocked.</param>
    /// <param name="layers">The position method of each layer.</param>
    /// <param name="shape">The architecture.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">Of queries, keys and values.</param>
    /// <param name="length">Tokens of a row.</param>
    /// <exception cref="UserException">Another word.</exception>
    public static AttentionChoice Of(string asked, LayerPlan layers, IAttentionShape shape, Device device, ScalarType dtype, int length)
    {
        if (asked != Auto)
        {
            return Enum.TryParse<AttentionPath>(asked, ignoreCase: true, out var path)
                ? new AttentionChoice(path, "as given")
                : throw new UserException($"attention: '{asked}' is not one of auto, sdpa, blocked");
        }

        if (!HasFusedKernels(device.type == DeviceType.CUDA, dtype))
        {
            return new AttentionChoice(AttentionPath.Blocked, "a GPU's fused kernels do not compute in float32");
        }

        using var plans = AttentionPlans.Create(layers, TokenPositions.Sequential(Math.Min(length, MostTokens)), shape, CPU, AttentionPath.Sdpa);
        return plans.Path == AttentionPath.Sdpa
            ? new AttentionChoice(AttentionPath.Sdpa, "libtorch has a fused kernel for it")
            : new AttentionChoice(AttentionPath.Blocked, "the position method alters attention");
    }

    /// <summary>Whether libtorch's fused kernels compute in this dtype.</summary>
    internal static bool HasFusedKernels(bool onGpu, ScalarType dtype) => !(onGpu && dtype == ScalarType.Float32);
}
