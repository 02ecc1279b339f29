using CutoffLen.Checkpoints;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>A checkpoint's model together with the position method it is run under, and the proof that it is.</summary>
public sealed class PositionedModel : IDisposable
{
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
        (Proof, LargestLogitDifference) = PositionProbe.Prove(model, Spec, targetLength);
    }

    /// <summary>The network.</summary>
    public Llama Model { get; }

    /// <summary>The method's spec with every default filled in.</summary>
    public PositionSpec Spec { get; }

    /// <summary>The position method.</summary>
    public PositionMethod Method { get; }

    /// <summary>Hashes of what attention sees of positions, for this method and for vanilla RoPE.</summary>
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
}
