using CutoffLen.Hardware;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace CutoffLen.Models.Llama;

/// <summary>SwiGLU (arXiv 2002.05202): down(silu(gate(h)) * up(h)).</summary>
internal sealed class LlamaMlp : Module
{
    private readonly Linear? gate_proj;
    private readonly Linear? up_proj;
    private readonly Linear? gate_up_proj;
    private readonly Linear down_proj;
    private readonly (Projection Gate, Projection Up) projections;
    private readonly long inner;

    public LlamaMlp(string name, LlamaConfig config, WeightSource weights, RmsNorm? outputNorm)
        : base(nameof(LlamaMlp))
    {
        var hidden = config.HiddenSize;
        inner = config.IntermediateSize;
        if (config.Family.FusedProjections)
        {
            gate_up_proj = new Linear($"{name}.gate_up_proj", hidden, 2 * inner, config.MlpBias, weights);
            projections = (new(gate_up_proj, new(0, inner)), new(gate_up_proj, new(inner, inner)));
        }
        else
        {
            gate_proj = new Linear($"{name}.gate_proj", hidden, inner, config.MlpBias, weights);
            up_proj = new Linear($"{name}.up_proj", hidden, inner, config.MlpBias, weights);
            projections = (new(gate_proj), new(up_proj));
        }

        down_proj = new Linear($"{name}.down_proj", inner, hidden, config.MlpBias, weights);
        Output = new BranchOutput(down_proj, outputNorm);
        RegisterComponents();
    }

    public BranchOutput Output { get; }

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
        Output.Backward(activated, gradient, dActivated, workspace, firstToken);

        var (dGate, dUp) = (dActivated, activated);
        Kernels.SwiGluBackward(dActivated, gate, up, dUp);
        var dH = workspace.Take("normed gradient", h.dtype, h.device, h.shape);
        projections.Gate.Backward(h, dGate, dH, add: false, workspace, firstToken);
        projections.Up.Backward(h, dUp, dH, add: true, workspace, firstToken);
        return dH;
    }

    private (Tensor Gate, Tensor Up) GateAndUp(Tensor h, DenseActivations dense, Workspace workspace, long firstToken)
    {
        long[] shape = [h.shape[0], inner];
        var gate = dense.Gate ?? workspace.Take("gate", h.dtype, h.device, shape);
        var up = dense.Up ?? workspace.Take("up", h.dtype, h.device, shape);
        projections.Gate.Forward(h, gate, workspace, firstToken);
        projections.Up.Forward(h, up, workspace, firstToken);
        return (gate, up);
    }
}
