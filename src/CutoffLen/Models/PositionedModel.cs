using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Models;

/// <summary>A network together with the position method it is run under, and the proof that it is.</summary>
public sealed class PositionedModel
{
    /// <summary>Puts a network under a method.</summary>
    /// <param name="model">The network; it stays its owner's.</param>
    /// <param name="spec">The method; <c>auto</c> is what the checkpoint says.</param>
    /// <param name="targetLength">Tokens that a missing factor is made for, and that the proof covers.</param>
    /// <param name="attention">auto, sdpa or blocked: see <see cref="AttentionChoice"/>.</param>
    /// <exception cref="UserException">The method does not fit the model.</exception>
    public PositionedModel(LlamaForCausalLM model, PositionSpec spec, int targetLength, string attention = nameof(AttentionPath.Blocked))
    {
        Model = model;
        var shape = model.Config.Positions;
        Spec = PositionMethods.Resolve(model.Config.PositionConfig.Resolve(spec), shape, targetLength);
        Method = PositionMethods.Create(Spec, shape, targetLength);
        Attention = AttentionChoice.Of(attention, Method, model.Config, model.Device, model.Dtype, 1, targetLength);
        (Proof, LargestLogitDifference) = PositionProbe.Prove(model, Spec, targetLength);
    }

    /// <summary>The network.</summary>
    public LlamaForCausalLM Model { get; }

    /// <summary>The method's spec with every default filled in.</summary>
    public PositionSpec Spec { get; }

    /// <summary>The position method.</summary>
    public PositionMethod Method { get; }

    /// <summary>What computes attention.</summary>
    public AttentionChoice Attention { get; }

    /// <summary>Hashes of what attention sees of positions, for this method and for vanilla RoPE.</summary>
    public PositionProof Proof { get; }

    /// <summary>The largest difference from vanilla RoPE's logits, over a few tokens spread over the target length.</summary>
    public double LargestLogitDifference { get; }

    /// <summary>The plan of a row of tokens.</summary>
    public AttentionPlan Plan(TokenPositions positions) =>
        AttentionPlan.Create(Method, positions, Model.Config, Model.Device, Attention.Path);
}
