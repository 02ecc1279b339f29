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
        weight = new Parameter(weights($"{name}.weight", [config.VocabSize, config.HiddenSize]), requires_grad: false);
        RegisterComponents();
    }

    public Tensor Weight => weight; // [V, C]
}

/// <summary>Root-mean-square norm; see <see cref="Kernels.RmsNorm"/>.</summary>
internal sealed class RmsNorm : Module
{
    private readonly Parameter weight;
    private readonly double epsilon;

    public RmsNorm(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(RmsNorm))
    {
        weight = new Parameter(weights($"{name}.weight", [config.HiddenSize]), requires_grad: false);
        epsilon = config.RmsNormEps;
        RegisterComponents();
    }

    /// <summary>The norm of [n, C], in the workspace.</summary>
    public Tensor Forward(Tensor x, Workspace workspace)
    {
        var output = workspace.Take("normed", x.dtype, x.device, x.shape);
        Forward(x, output, workspace);
        return output;
    }

    /// <summary>The norm of [..., C] into <paramref name="output"/>, which may be x.</summary>
    public void Forward(Tensor x, Tensor output, Workspace workspace) => Kernels.RmsNorm(x, weight, epsilon, Inverse(x, workspace), output);

    /// <summary>Adds the gradients of the forward pass that was the last in this workspace.</summary>
    /// <param name="gradient">[n, C] the gradient of the result.</param>
    /// <param name="x">[n, C] the input.</param>
    /// <param name="inputGradient">[n, C] added to.</param>
    /// <param name="workspace">Where the forward pass left one over the root mean square.</param>
    public void Backward(Tensor gradient, Tensor x, Tensor inputGradient, Workspace workspace) => Kernels.RmsNormBackward(
        gradient, x, weight, Inverse(x, workspace),
        (workspace.Take("norm 1", ScalarType.Float32, x.device, x.shape), workspace.Take("norm 2", ScalarType.Float32, x.device, x.shape)),
        weight.grad, inputGradient);

    private static Tensor Inverse(Tensor x, Workspace workspace) =>
        workspace.Take("inverse", ScalarType.Float32, x.device, [.. x.shape[..^1], 1]);
}

/// <summary>What is added to a projection: <see cref="Linear.Adapter"/>.</summary>
public interface ILinearAdapter
{
    /// <summary>Adds the adapter's result for inputs [n, in] to <paramref name="output"/> [n, out].</summary>
    void AddForward(Tensor x, Tensor output, long firstToken);

    /// <summary>Adds the gradients of the adapter's parameters, and of its inputs to <paramref name="inputGradient"/> [n, in].</summary>
    void AddBackward(Tensor x, Tensor gradient, Tensor inputGradient, long firstToken);
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
    private readonly Parameter weight;
    private readonly Parameter? bias;

    internal Linear(string name, long inFeatures, long outFeatures, bool bias, WeightSource weights)
        : base(nameof(Linear))
    {
        weight = new Parameter(weights($"{name}.weight", [outFeatures, inFeatures]), requires_grad: false);
        this.bias = bias ? new Parameter(weights($"{name}.bias", [outFeatures]), requires_grad: false) : null;
        RegisterComponents();
    }

    /// <summary>[out, in].</summary>
    public Tensor Weight => weight;

    /// <summary>The adapter, or null.</summary>
    public ILinearAdapter? Adapter { get; set; }

    /// <summary>The projection of [n, in] into <paramref name="output"/> [n, out]; the first row is token <paramref name="firstToken"/>.</summary>
    internal void Forward(Tensor x, Tensor output, long firstToken)
    {
        Kernels.Matmul(x, weight.t(), output);
        Finish(x, output, firstToken);
    }

    /// <summary>The same plus <paramref name="addend"/> [n, out].</summary>
    internal void ForwardAdded(Tensor addend, Tensor x, Tensor output, long firstToken)
    {
        Kernels.MatmulAdded(addend, x, weight.t(), output);
        Finish(x, output, firstToken);
    }

    /// <summary>Adds the gradients of the parameters to those they hold, where they are trained.</summary>
    /// <param name="x">[n, in] the input.</param>
    /// <param name="gradient">[n, out] the gradient of the result.</param>
    /// <param name="inputGradient">[n, in] receives the gradient of the input.</param>
    /// <param name="add">Whether it is added to what is there.</param>
    /// <param name="firstToken">The token of the first row.</param>
    internal void Backward(Tensor x, Tensor gradient, Tensor inputGradient, bool add, long firstToken)
    {
        if (weight.grad is { } weightGradient)
        {
            Kernels.MatmulAdded(weightGradient, gradient.t(), x, weightGradient);
        }

        bias?.grad?.add_(gradient.sum([0]));
        if (add)
        {
            Kernels.MatmulAdded(inputGradient, gradient, weight, inputGradient);
        }
        else
        {
            Kernels.Matmul(gradient, weight, inputGradient);
        }

        Adapter?.AddBackward(x, gradient, inputGradient, firstToken);
    }

    private void Finish(Tensor x, Tensor output, long firstToken)
    {
        if (bias is not null)
        {
            output.add_(bias);
        }

        Adapter?.AddForward(x, output, firstToken);
    }
}

/// <summary>The projections around attention, grouped-query (arXiv 2305.13245).</summary>
internal sealed class LlamaAttention : Module
{
    internal readonly Linear q_proj;
    internal readonly Linear k_proj;
    internal readonly Linear v_proj;
    internal readonly Linear o_proj;

    public LlamaAttention(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaAttention))
    {
        var queries = config.NumAttentionHeads * config.HeadDim;
        var keys = config.NumKeyValueHeads * config.HeadDim;
        q_proj = new Linear($"{name}.q_proj", config.HiddenSize, queries, config.QkvBias, weights);
        k_proj = new Linear($"{name}.k_proj", config.HiddenSize, keys, config.QkvBias, weights);
        v_proj = new Linear($"{name}.v_proj", config.HiddenSize, keys, config.QkvBias, weights);
        o_proj = new Linear($"{name}.o_proj", queries, config.HiddenSize, config.OutputBias, weights);
        RegisterComponents();
    }

    public void Project(Tensor h, LayerHeads heads, RowEncoding encoding, TokenRange chunk, Workspace workspace)
    {
        Encoded(q_proj, heads.Queries);
        Encoded(k_proj, heads.Keys);
        v_proj.Forward(h, heads.Values, chunk.Start);

        void Encoded(Linear projection, Tensor output)
        {
            var projected = encoding.Encoding is null ? output : workspace.Take("projected", output.dtype, output.device, output.shape);
            projection.Forward(h, projected, chunk.Start);
            if (encoding.Encoding is not null)
            {
                encoding.Apply(chunk, projected, output, workspace);
            }
        }
    }

    /// <summary>The gradient [n, C] of the projections' input.</summary>
    public Tensor ProjectBackward(Tensor h, LayerHeads gradients, RowEncoding encoding, TokenRange chunk, Workspace workspace)
    {
        var dH = workspace.Take("normed gradient", h.dtype, h.device, h.shape);
        q_proj.Backward(h, Decoded(gradients.Queries), dH, add: false, chunk.Start);
        k_proj.Backward(h, Decoded(gradients.Keys), dH, add: true, chunk.Start);
        v_proj.Backward(h, gradients.Values, dH, add: true, chunk.Start);
        return dH;

        Tensor Decoded(Tensor encoded)
        {
            if (encoding.Encoding is null)
            {
                return encoded;
            }

            var decoded = workspace.Take("projected", encoded.dtype, encoded.device, encoded.shape);
            encoding.ApplyTransposed(chunk, encoded, decoded, workspace);
            return decoded;
        }
    }
}

/// <summary>SwiGLU (arXiv 2002.05202): down(silu(gate(h)) * up(h)).</summary>
internal sealed class LlamaMlp : Module
{
    internal readonly Linear gate_proj;
    internal readonly Linear up_proj;
    internal readonly Linear down_proj;

    public LlamaMlp(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaMlp))
    {
        var (hidden, inner) = (config.HiddenSize, config.IntermediateSize);
        gate_proj = new Linear($"{name}.gate_proj", hidden, inner, config.MlpBias, weights);
        up_proj = new Linear($"{name}.up_proj", hidden, inner, config.MlpBias, weights);
        down_proj = new Linear($"{name}.down_proj", inner, hidden, config.MlpBias, weights);
        RegisterComponents();
    }

    /// <summary>The input [n, I] of the down projection; gate and up are left in <paramref name="dense"/>.</summary>
    public Tensor Activate(Tensor h, DenseActivations dense, Workspace workspace, long firstToken)
    {
        var (gate, up) = GateAndUp(h, dense, workspace, firstToken);
        var activated = workspace.Take("activated", h.dtype, h.device, gate.shape);
        Kernels.SwiGlu(gate, up, activated);
        return activated;
    }

    /// <summary>The gradient [n, C] of the MLP's input, from that of its result.</summary>
    public Tensor Backward(Tensor h, DenseActivations dense, bool isKept, Tensor gradient, Workspace workspace, long firstToken)
    {
        var (gate, up) = isKept ? (dense.Gate!, dense.Up!) : GateAndUp(h, dense, workspace, firstToken);
        var activated = workspace.Take("activated", h.dtype, h.device, gate.shape);
        var dActivated = workspace.Take("activated gradient", h.dtype, h.device, gate.shape);
        Kernels.SwiGlu(gate, up, activated);
        down_proj.Backward(activated, gradient, dActivated, add: false, firstToken);

        var (dGate, dUp) = (dActivated, activated);
        Kernels.SwiGluBackward(dActivated, gate, up, dUp);
        var dH = workspace.Take("normed gradient", h.dtype, h.device, h.shape);
        gate_proj.Backward(h, dGate, dH, add: false, firstToken);
        up_proj.Backward(h, dUp, dH, add: true, firstToken);
        return dH;
    }

    private (Tensor Gate, Tensor Up) GateAndUp(Tensor h, DenseActivations dense, Workspace workspace, long firstToken)
    {
        long[] shape = [h.shape[0], gate_proj.Weight.shape[0]];
        var gate = dense.Gate ?? workspace.Take("gate", h.dtype, h.device, shape);
        var up = dense.Up ?? workspace.Take("up", h.dtype, h.device, shape);
        gate_proj.Forward(h, gate, firstToken);
        up_proj.Forward(h, up, firstToken);
        return (gate, up);
    }
}
