using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// A stored adapter as a side branch of the forward pass: the module's weight stays as it is. In float32, and never as a
/// product of A and B, so that it checks merging.
/// </summary>
internal sealed class AdapterBranch : ILinearAdapter, IEmbeddingAdapter
{
    private readonly Tensor? weight; // [out, in]
    private readonly Tensor a; // [r, in]
    private readonly Tensor b; // [out, r]
    private readonly Tensor? bias; // [out]
    private readonly Tensor? gain; // [out]

    /// <summary>Prepares a branch; its tensors belong to the current scope.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="weight">The module's weight; null where it is quantized and the adapter is plain LoRA.</param>
    /// <param name="loraBias">B's bias, or null.</param>
    public AdapterBranch(LoraWeights adapter, Tensor? weight, Tensor? loraBias)
    {
        this.weight = adapter.Module.IsEmbedding ? weight!.t() : weight;
        (a, b) = adapter.Factored(this.weight);
        bias = loraBias is null ? null : loraBias * Kept(adapter.Module.Scale);
        gain = adapter.Magnitude is null ? null : adapter.Magnitude / Norms();
    }

    /// <inheritdoc/>
    public void AddForward(Tensor x, Tensor output, long firstToken, OutputRange outputs)
    {
        using var scope = NewDisposeScope();
        Add(x.to(ScalarType.Float32).mm(a.t()), gain is null ? null : x.mm(outputs.Of(weight!).t()), output, outputs);
        if (bias is not null)
        {
            output.add_(outputs.Of(bias));
        }
    }

    /// <inheritdoc/>
    public void AddForward(Tensor tokens, Tensor output)
    {
        using var scope = NewDisposeScope();
        Add(a.index_select(1, tokens).t(), gain is null ? null : weight!.index_select(1, tokens).t(), output, default);
    }

    /// <inheritdoc/>
    public void AddBackward(Tensor x, Tensor gradient, Tensor inputGradient, long firstToken, OutputRange outputs) => throw Frozen();

    /// <inheritdoc/>
    public void AddBackward(Tensor tokens, Tensor gradient) => throw Frozen();

    private static NotSupportedException Frozen() => new("a stored adapter has a forward pass only");

    /// <summary>
    /// Adds B A x; with DoRA (g - 1) W x + g B A x, where the module has added W x already (PEFT's DoraLinearLayer).
    /// </summary>
    /// <param name="reduced">[n, r] A x.</param>
    /// <param name="projected">[n, out] W x, with DoRA.</param>
    /// <param name="output">[n, out].</param>
    /// <param name="outputs">Which outputs they are.</param>
    private void Add(Tensor reduced, Tensor? projected, Tensor output, OutputRange outputs)
    {
        var added = reduced.mm(outputs.Of(b).t());
        output.add_(projected is null ? added : (projected * (outputs.Of(gain!) - Kept(1.0))) + (added * outputs.Of(gain!)));
    }

    /// <summary>The norm of each row of W + B A: ||w||^2 + 2 b (A w) + b (A A^T) b^T.</summary>
    private Tensor Norms()
    {
        using var scope = NewDisposeScope();
        var w = weight!.to(ScalarType.Float32);
        var reduced = (w.mm(a.t()) * Kept(2.0)) + b.mm(a.mm(a.t())); // [out, r]
        return (w.square().sum(1) + (reduced * b).sum(1)).sqrt().MoveToOuterDisposeScope();
    }
}
