using CutoffLen.Checkpoints;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>A checkpoint's model together with the position method it is run under, and the proof that it is.</summary>
public sealed class PositionedModel : IDisposable
{
    private const int ProbeTokens = 32;

    /// <summary>Puts a model under a method.</summary>
    /// <param name="model">The model, which this object then owns.</param>
    /// <param name="spec">The method; <c>auto</c> is what the checkpoint says.</param>
    /// <param name="targetLength">Tokens that a missing factor is made for, and that the proof covers.</param>
    /// <exception cref="UserException">The method does not fit the model.</exception>
    public PositionedModel(Llama model, PositionSpec spec, int targetLength)
    {
        Model = model;
        var shape = model.Config.Positions;
        Spec = PositionMethods.Resolve(model.Config.PositionConfig.Resolve(spec), shape, targetLength);
        Method = PositionMethods.Create(Spec, shape, targetLength);
        var probe = Probe(targetLength);
        Proof = PositionProof.Of(Spec, shape, targetLength, probe);
        LargestLogitDifference = Difference(probe);
        Proof.Check(LargestLogitDifference);
    }

    /// <summary>The network.</summary>
    public Llama Model { get; }

    /// <summary>The method's spec with every default filled in.</summary>
    public PositionSpec Spec { get; }

    /// <summary>The position method.</summary>
    public PositionMethod Method { get; }

    /// <summary>Hashes of what attention sees of the probe's positions.</summary>
    public PositionProof Proof { get; }

    /// <summary>The largest difference from vanilla RoPE's logits, over a few tokens spread over the target length.</summary>
    public double LargestLogitDifference { get; }

    /// <summary>Loads a checkpoint and puts it under a method.</summary>
    public static PositionedModel Load(
        HuggingFaceCheckpoint checkpoint, PositionSpec spec, int targetLength, Device device, ScalarType dtype) =>
        new(checkpoint.Load(device, dtype), spec, targetLength);

    /// <summary>The plan of a row of tokens.</summary>
    public AttentionPlan Plan(TokenPositions positions) =>
        AttentionPlan.Create(Method, positions, Model.Config, Model.Device);

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    private static TokenPositions Probe(int length)
    {
        var count = Math.Clamp(length, 2, ProbeTokens);
        var last = Math.Max(length, 2) - 1;
        return new TokenPositions([.. Enumerable.Range(0, count).Select(n => (int)((long)n * last / (count - 1)))]);
    }

    private double Difference(TokenPositions probe)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var ids = Enumerable.Range(0, probe.Length).Select(n => n * 7919L % Model.Config.VocabSize).ToArray();
        var tokens = tensor(ids, [1, ids.Length]).to(Model.Device);
        return (Logits(Method) - Logits(new RopeMethod(Model.Config.Positions))).abs().max().item<float>();

        Tensor Logits(PositionMethod method)
        {
            using var plan = AttentionPlan.Create(method, probe, Model.Config, Model.Device);
            return Model.Logits(Model.Hidden(tokens, plan)).to(ScalarType.Float32);
        }
    }
}
