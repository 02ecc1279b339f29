using System.Diagnostics;
using System.Runtime.InteropServices;
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

    /// <summary>libtorch's scaled_dot_product_attention.</summary>
    Sdpa,
}

/// <summary>A path, and why it was taken.</summary>
/// <param name="Path">The path.</param>
/// <param name="Reason">For people.</param>
public sealed record AttentionChoice(AttentionPath Path, string Reason)
{
    /// <summary>What <c>attention</c> may say.</summary>
    public const string Auto = "auto";

    // Below, attention on a CPU is too small a part of a step to be worth a measurement.
    private const int ShortOnCpu = 2048;

    // On a CPU a longer measurement would delay the start, and would give the same answer.
    private const int LongestOnCpu = 4096;

    /// <summary>The path that a setting names; for auto the faster one, measured where that can matter.</summary>
    /// <param name="asked">auto, sdpa or blocked.</param>
    /// <param name="method">The position method.</param>
    /// <param name="shape">The architecture.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">Of queries, keys and values.</param>
    /// <param name="batch">Rows of a forward.</param>
    /// <param name="length">Tokens of a row.</param>
    /// <exception cref="UserException">Another word.</exception>
    public static AttentionChoice Of(string asked, PositionMethod method, IAttentionShape shape, Device device, ScalarType dtype, int batch, int length)
    {
        if (asked != Auto)
        {
            return Enum.TryParse<AttentionPath>(asked, ignoreCase: true, out var path)
                ? new AttentionChoice(path, "as given")
                : throw new UserException($"attention: '{asked}' is not one of auto, sdpa, blocked");
        }

        var onCpu = device.type == DeviceType.CPU;
        if (onCpu && length < ShortOnCpu)
        {
            return new AttentionChoice(AttentionPath.Blocked, $"rows of {length} tokens on a CPU");
        }

        using var scope = NewDisposeScope();
        (batch, length) = onCpu ? (1, Math.Min(length, LongestOnCpu)) : (batch, length);
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(length), shape, device, AttentionPath.Sdpa);
        return plan.Path == AttentionPath.Sdpa
            ? Faster(new AttentionTrial(plan, shape, dtype, device, batch))
            : new AttentionChoice(AttentionPath.Blocked, "the position method alters attention");
    }

    private static AttentionChoice Faster(AttentionTrial trial)
    {
        if (trial.SecondsOfSdpa() is not { } sdpa)
        {
            return new AttentionChoice(AttentionPath.Blocked, "this libtorch has no fused kernel for it");
        }

        var blocked = trial.SecondsOfBlocked();
        return new AttentionChoice(
            sdpa < blocked ? AttentionPath.Sdpa : AttentionPath.Blocked,
            FormattableString.Invariant($"forward and backward of a layer take {sdpa * 1e3:0.0} ms with sdpa, {blocked * 1e3:0.0} ms blocked"));
    }
}

/// <summary>Times one layer's attention, forward and backward, on random heads.</summary>
internal sealed class AttentionTrial
{
    private readonly AttentionPlan plan;
    private readonly Device device;
    private readonly Tensor queries; // [B, H, T, D]
    private readonly Tensor keys; // [B, K, T, D]

    public AttentionTrial(AttentionPlan plan, IAttentionShape shape, ScalarType dtype, Device device, int batch)
    {
        (this.plan, this.device) = (plan, device);
        queries = Draw(shape.NumAttentionHeads);
        keys = Draw(shape.NumKeyValueHeads);

        // From a generator of its own, so that the run's draws do not depend on whether something was measured.
        Tensor Draw(int heads) => randn([batch, heads, plan.Length, shape.HeadDim], generator: new Generator(1)).to(dtype).to(device);
    }

    /// <summary>
    /// Seconds of libtorch's operator; null where it has no fused kernel, on the CPU as on a GPU. It would fall back to the
    /// formula then, whose memory grows with the square of the length. The fallback is switched off for the trial, so such a
    /// case fails.
    /// </summary>
    public double? SecondsOfSdpa()
    {
        var mayFallBack = backends.cuda.math_sdp_enabled();
        backends.cuda.enable_math_sdp(false);
        try
        {
            return Seconds(() =>
            {
                var (output, kept) = plan.Fused!.Forward(queries, keys, keys, areEncoded: true);
                plan.Fused.Backward(queries, keys, keys, output, kept, queries, areEncoded: true);
            });
        }
        catch (ExternalException)
        {
            return null; // no kernel, or not enough memory for it
        }
        finally
        {
            backends.cuda.enable_math_sdp(mayFallBack);
        }
    }

    /// <summary>Seconds of the blocked path.</summary>
    public double SecondsOfBlocked() => Seconds(() =>
    {
        var (output, logSumExp) = plan.Blocked.Forward(queries, keys, keys, keepLogSumExp: true, areEncoded: true);
        plan.Blocked.Backward(queries, keys, keys, output, logSumExp!, queries, areEncoded: true);
    });

    // Of the second run: the first also fills caches and compiles or chooses kernels.
    private double Seconds(Action run)
    {
        using var noGrad = no_grad();
        var clock = new Stopwatch();
        for (var n = 0; n < 2; n++)
        {
            using var scope = NewDisposeScope();
            Finish();
            clock.Restart();
            run();
            Finish();
        }

        return clock.Elapsed.TotalSeconds;
    }

    private void Finish()
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }
}
