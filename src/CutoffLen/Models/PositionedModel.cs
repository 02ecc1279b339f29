using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Models;

/// <summary>A network under position methods, with the proof that they are applied.</summary>
public sealed class PositionedModel
{
    /// <summary>Combines a network and a position method, and checks that the method is applied.</summary>
    /// <param name="model">The network; the caller disposes it.</param>
    /// <param name="positions">The position method.</param>
    /// <param name="attention">The attention implementation.</param>
    public PositionedModel(LlamaForCausalLM model, PositionSetup positions, AttentionChoice attention)
    {
        (Model, Positions, Attention) = (model, positions, attention);
        (Proof, LargestLogitDifference) = PositionProbe.Prove(model, positions);
    }

    /// <summary>The network.</summary>
    public LlamaForCausalLM Model { get; }

    /// <summary>The position method, its spec and its target length.</summary>
    public PositionSetup Positions { get; }

    /// <summary>The method's spec with every default filled in.</summary>
    public PositionSpec Spec => Positions.Spec;

    /// <summary>The position method of each layer.</summary>
    public LayerPlan Layers => Positions.Layers;

    /// <summary>The attention implementation.</summary>
    public AttentionChoice Attention { get; }

    /// <summary>Hashes of the method's tables and of vanilla RoPE's.</summary>
    public PositionProof Proof { get; }

    /// <summary>The largest difference from vanilla RoPE's logits, on a probe spread over the target length.</summary>
    public double LargestLogitDifference { get; }

    /// <summary>The attention plans of a row.</summary>
    public AttentionPlans Plan(TokenPositions positions) =>
        AttentionPlans.Create(Layers, positions, Model.Config, Model.Device, Attention.Path);
}
