using CutoffLen.Hardware;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace CutoffLen.Models.Llama;

/// <summary>The embedding matrix. The network looks tokens up itself.</summary>
internal sealed class TokenEmbedding : Module
{
    private readonly Parameter weight;

    public TokenEmbedding(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(TokenEmbedding))
    {
        weight = new Parameter(weights($"{name}.weight", [config.VocabSize, config.HiddenSize]).Dense(), requires_grad: false);
        RegisterComponents();
    }

    public Tensor Weight => weight; // [V, C]
}

/// <summary>Root-mean-square norm over its width W: the hidden size C, a head, or a projection. See <see cref="Kernels.RmsNorm"/>.</summary>
internal sealed class RmsNorm : Module
{
    private readonly Parameter weight; // [W]
    private readonly double epsilon;
    private readonly long width;
    private readonly string scratch;

    /// <param name="name">Of the module.</param>
    /// <param name="width">W.</param>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">Hands out the weight.</param>
    /// <param name="scratch">Before the names of scratch buffers: "" for the norm of an input, another for norms that run between its forward and backward pass.</param>
    public RmsNorm(string name, long width, LlamaConfig config, WeightSource weights, string scratch = "")
        : base(nameof(RmsNorm))
    {
        weight = new Parameter(weights($"{name}.weight", [width]).Dense(), requires_grad: false);
        (epsilon, this.width, this.scratch) = (config.RmsNormEps, width, scratch);
        RegisterComponents();
    }

    /// <summary>The norm of [n, W], in the workspace.</summary>
    public Tensor Forward(Tensor x, Workspace workspace)
    {
        var output = workspace.Take(scratch + "normed", x.dtype, x.device, x.shape);
        Forward(x, output, workspace);
        return output;
    }

    /// <summary>The norm of [..., W] into <paramref name="output"/>, which may be x. A row may hold several heads: [n, H*W].</summary>
    public void Forward(Tensor x, Tensor output, Workspace workspace)
    {
        var rows = Rows(x);
        Kernels.RmsNorm(rows, weight, epsilon, Inverse(rows, workspace), Rows(output));
    }

    /// <summary>Adds the gradients of the forward pass that was the last in this workspace.</summary>
    /// <param name="gradient">[n, W] the gradient of the result.</param>
    /// <param name="x">[n, W] the input.</param>
    /// <param name="inputGradient">[n, W] added to.</param>
    /// <param name="workspace">Where the forward pass left one over the root mean square.</param>
    public void Backward(Tensor gradient, Tensor x, Tensor inputGradient, Workspace workspace)
    {
        var rows = Rows(x);
        Kernels.RmsNormBackward(
            Rows(gradient), rows, weight, Inverse(rows, workspace),
            (workspace.Take("norm 1", ScalarType.Float32, x.device, rows.shape), workspace.Take("norm 2", ScalarType.Float32, x.device, rows.shape)),
            weight.grad, Rows(inputGradient));
    }

    /// <summary>The gradient of the input x alone, in the workspace; the forward pass is run again.</summary>
    public Tensor Backward(Tensor gradient, Tensor x, Workspace workspace)
    {
        var inputGradient = workspace.Take(scratch + "norm input gradient", x.dtype, x.device, x.shape);
        Forward(x, inputGradient, workspace);
        Backward(gradient, x, inputGradient.zero_(), workspace);
        return inputGradient;
    }

    /// <summary>[n, H*W] to [n*H, W], a view.</summary>
    private Tensor Rows(Tensor x) => x.shape[^1] == width ? x : x.view(-1, width);

    private Tensor Inverse(Tensor x, Workspace workspace) =>
        workspace.Take(scratch + "inverse", ScalarType.Float32, x.device, [.. x.shape[..^1], 1]);
}

/// <summary>What is added to a projection: <see cref="Linear.Adapter"/>.</summary>
public interface ILinearAdapter
{
    /// <summary>Adds the adapter's result for inputs [n, in] to <paramref name="output"/>: [n, out], or some outputs of it.</summary>
    void AddForward(Tensor x, Tensor output, long firstToken, OutputRange outputs = default);

    /// <summary>Adds the gradients of the adapter's parameters, and of its inputs to <paramref name="inputGradient"/> [n, in].</summary>
    void AddBackward(Tensor x, Tensor gradient, Tensor inputGradient, long firstToken, OutputRange outputs = default);
}

/// <summary>
/// Consecutive outputs of a linear module, as queries are of Phi-3's qkv_proj; all of them by default.
/// </summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many; 0 for all.</param>
public readonly record struct OutputRange(long Start, long Count)
{
    /// <summary>Their rows of a tensor [out, ...].</summary>
    public Tensor Of(Tensor x) => Count == 0 ? x : x.narrow(0, Start, Count);
}

/// <summary>What is added to the embedding's rows: <see cref="LlamaForCausalLM.EmbeddingAdapter"/>.</summary>
public interface IEmbeddingAdapter
{
    /// <summary>Adds the adapter's result for tokens, int64 [n], to <paramref name="output"/> [n, C].</summary>
    void AddForward(Tensor tokens, Tensor output);

    /// <summary>Adds the gradients of the adapter's parameters, from that of the rows [n, C].</summary>
    void AddBackward(Tensor tokens, Tensor gradient);
}

/// <summary>y = x W^T + b, plus the output of a low-rank adapter where there is one.</summary>
public sealed class Linear : Module
{
    private readonly Parameter? weight;
    private readonly Parameter? bias;
    private readonly Nf4Weight? quantized; // in the weight's place

    internal Linear(string name, long inFeatures, long outFeatures, bool bias, WeightSource weights)
        : base(nameof(Linear))
    {
        var stored = weights($"{name}.weight", [outFeatures, inFeatures]);
        (weight, quantized) = (stored.Tensor is { } tensor ? new Parameter(tensor, requires_grad: false) : null, stored.Quantized);
        this.bias = bias ? new Parameter(weights($"{name}.bias", [outFeatures]).Dense(), requires_grad: false) : null;
        RegisterComponents();
    }

    /// <summary>[out, in]; of a linear module whose weight is quantized there is none.</summary>
    public Tensor Weight => weight ?? throw new InvalidOperationException("the weight is quantized");

    /// <summary>The adapter, or null.</summary>
    public ILinearAdapter? Adapter { get; set; }

    /// <summary>The projection of [n, in] into <paramref name="output"/> [n, out]; the first row is token <paramref name="firstToken"/>.</summary>
    internal void Forward(Tensor x, Tensor output, Workspace workspace, long firstToken, OutputRange outputs = default)
    {
        Kernels.Matmul(x, outputs.Of(Dense(workspace)).t(), output);
        Finish(x, output, firstToken, outputs);
    }

    /// <summary>The same plus <paramref name="addend"/> [n, out].</summary>
    internal void ForwardAdded(Tensor addend, Tensor x, Tensor output, Workspace workspace, long firstToken)
    {
        Kernels.MatmulAdded(addend, x, Dense(workspace).t(), output);
        Finish(x, output, firstToken, default);
    }

    /// <summary>Adds the gradients of the parameters to those they hold, where they are trained.</summary>
    /// <param name="x">[n, in] the input.</param>
    /// <param name="gradient">[n, out] the gradient of the result.</param>
    /// <param name="inputGradient">[n, in] receives the gradient of the input.</param>
    /// <param name="add">Whether it is added to what is there.</param>
    /// <param name="workspace">Memory for the moment.</param>
    /// <param name="firstToken">The token of the first row.</param>
    /// <param name="outputs">The outputs that the forward pass computed.</param>
    internal void Backward(Tensor x, Tensor gradient, Tensor inputGradient, bool add, Workspace workspace, long firstToken, OutputRange outputs = default)
    {
        if (weight?.grad is { } wholeGradient)
        {
            var weightGradient = outputs.Of(wholeGradient);
            Kernels.MatmulAdded(weightGradient, gradient.t(), x, weightGradient);
        }

        if (bias?.grad is { } biasGradient)
        {
            outputs.Of(biasGradient).add_(gradient.sum([0]));
        }

        var dense = outputs.Of(Dense(workspace));
        if (add)
        {
            Kernels.MatmulAdded(inputGradient, gradient, dense, inputGradient);
        }
        else
        {
            Kernels.Matmul(gradient, dense, inputGradient);
        }

        Adapter?.AddBackward(x, gradient, inputGradient, firstToken, outputs);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            quantized?.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>[out, in] the weight; a quantized one is dequantized for each use, into memory that the next use of any overwrites.</summary>
    private Tensor Dense(Workspace workspace) => weight ?? quantized!.Dequantized(workspace);

    private void Finish(Tensor x, Tensor output, long firstToken, OutputRange outputs)
    {
        if (bias is not null)
        {
            output.add_(outputs.Of(bias));
        }

        Adapter?.AddForward(x, output, firstToken, outputs);
    }
}

/// <summary>A projection: a linear module of its own, or some outputs of one that checkpoints store fused.</summary>
internal sealed record Projection(Linear Linear, OutputRange Outputs = default)
{
    public void Forward(Tensor x, Tensor output, Workspace workspace, long firstToken) => Linear.Forward(x, output, workspace, firstToken, Outputs);

    public void Backward(Tensor x, Tensor gradient, Tensor inputGradient, bool add, Workspace workspace, long firstToken) =>
        Linear.Backward(x, gradient, inputGradient, add, workspace, firstToken, Outputs);
}

/// <summary>The last projection of attention or of the MLP, whose result is added to the residual stream; normed before, where there is a norm.</summary>
internal sealed record BranchOutput(Linear Linear, RmsNorm? Norm)
{
    /// <summary>The stream [n, C] plus the result for inputs [n, in], into <paramref name="output"/> [n, C].</summary>
    public void ForwardAdded(Tensor stream, Tensor x, Tensor output, Workspace workspace, long firstToken)
    {
        if (Norm is null)
        {
            Linear.ForwardAdded(stream, x, output, workspace, firstToken);
        }
        else
        {
            output.copy_(stream).add_(Norm.Forward(Projected(stream, x, workspace, firstToken), workspace));
        }
    }

    /// <summary>Adds the gradients of the parameters; <paramref name="inputGradient"/> [n, in] receives that of the inputs.</summary>
    public void Backward(Tensor x, Tensor gradient, Tensor inputGradient, Workspace workspace, long firstToken)
    {
        var projectedGradient = Norm?.Backward(gradient, Projected(gradient, x, workspace, firstToken), workspace) ?? gradient; // [n, C]
        Linear.Backward(x, projectedGradient, inputGradient, add: false, workspace, firstToken);
    }

    private Tensor Projected(Tensor like, Tensor x, Workspace workspace, long firstToken)
    {
        var projected = workspace.Take("branch", like.dtype, like.device, like.shape);
        Linear.Forward(x, projected, workspace, firstToken);
        return projected;
    }
}
