using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>A model with its trained parameters in flat buffers: all of them, or adapters and modules_to_save.</summary>
public sealed class TrainableModel : IDisposable
{
    private readonly int? equationWidth;

    private TrainableModel(LlamaForCausalLM network, FlatParameters parameters, LoraAdapters? adapters, int? equationWidth = null) =>
        (Network, Parameters, Adapters, this.equationWidth) = (network, parameters, adapters, equationWidth);

    /// <summary>The network. Its trained parameters are views of <see cref="Parameters"/>.</summary>
    public LlamaForCausalLM Network { get; }

    /// <summary>The trained parameters.</summary>
    public FlatParameters Parameters { get; }

    /// <summary>The adapters; null when all weights are trained.</summary>
    public LoraAdapters? Adapters { get; }

    /// <summary>The weights of CLEX's equation as they are now, where they are trained; else null.</summary>
    public ClexWeights? Equation => equationWidth is { } width ? new(Floats(WeightFiles.ClexUp), Floats(WeightFiles.ClexDown), width) : null;

    /// <summary>Full fine-tuning. Each weight is copied from its source into the buffer, so none is held twice.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The weights to begin with, the same on every rank.</param>
    /// <param name="dtype">Of the weights.</param>
    /// <param name="device">Where the model is.</param>
    /// <param name="ranks">The ranks that train it together; null for one.</param>
    /// <param name="equation">The weights of CLEX's equation, to be trained with the network's; null for none.</param>
    public static TrainableModel Full(
        LlamaConfig config, WeightSource weights, ScalarType dtype, Device device, ICollectives? ranks = null, ClexWeights? equation = null)
    {
        var shapes = LlamaParameters.Of(config).Select(p => new ParameterShape(p.Name, p.Shape));
        if (equation is null)
        {
            return Build(config, weights, new FlatParameters(ParameterGroup.ByShape(shapes), dtype, device, ranks), null);
        }

        long[] up = [config.RotaryDim / 2, equation.Width];
        shapes = [.. shapes, new ParameterShape(WeightFiles.ClexUp, up), new ParameterShape(WeightFiles.ClexDown, [.. up.Reverse()])];
        var parameters = new FlatParameters(ParameterGroup.ByShape(shapes), dtype, device, ranks);
        using (no_grad())
        using (NewDisposeScope())
        {
            parameters.View(WeightFiles.ClexUp).copy_(tensor(equation.Up).view(up));
            parameters.View(WeightFiles.ClexDown).copy_(tensor(equation.Down).view(equation.Width, -1));
        }

        return Build(config, weights, parameters, null, equation.Width);
    }

    /// <summary>Low-rank adapters, which change nothing yet, and modules_to_save, trained in full.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The base model's weights in the wanted dtype, on the wanted device; projections may be quantized.</param>
    /// <param name="dtype">Of the adapters; the base model's.</param>
    /// <param name="device">Where the base model is.</param>
    /// <param name="lora">The adapters.</param>
    /// <param name="seed">Of their initial values and of dropout.</param>
    /// <param name="learningRateRatio">How many times larger B's learning rate is (LoRA+, arXiv 2402.12354).</param>
    /// <param name="ranks">The ranks that train it together; null for one.</param>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public static TrainableModel Lora(
        LlamaConfig config, WeightSource weights, ScalarType dtype, Device device, AdapterConfig lora, long seed, double learningRateRatio = 1,
        ICollectives? ranks = null)
    {
        var adapters = new LoraAdapters(config, lora, seed);
        var groups = adapters.Groups(learningRateRatio);
        var model = Build(config, weights, new FlatParameters(groups, dtype, device, ranks), adapters);
        adapters.AttachTo(model.Network, model.Parameters);
        return model;
    }

    /// <summary>Forward and backward passes of this model.</summary>
    /// <param name="recompute">What is kept of the dense segments.</param>
    /// <param name="offloadInputs">Whether a GPU's kept inputs are offloaded to host memory.</param>
    public LayerwiseBackprop Backprop(Recompute recompute, bool offloadInputs = false) => new(
        Network, recompute, Gradient(LlamaParameters.Embedding), Gradient(Network.Config.TieWordEmbeddings ? LlamaParameters.Embedding : LlamaParameters.Head),
        offloadInputs && Network.Device.type != TorchSharp.DeviceType.CPU ? CPU : null);

    /// <summary>The network's weights by name, as trained, adapters not merged.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Weights() => Network.named_parameters().Select(p => (p.name, (Tensor)p.parameter));

    /// <summary>Loads adapters and modules_to_save from a folder.</summary>
    /// <exception cref="UserException">The folder has other ones.</exception>
    public void LoadAdapters(string folder)
    {
        using var noGrad = no_grad();
        using var file = AdapterFile.Open(folder, Network.Config, Adapters!.Tensors, Adapters.Config);
        foreach (var name in Parameters.Names)
        {
            using var scope = NewDisposeScope();
            var view = Parameters.View(name);
            view.copy_(file.Read(name, view.dtype, view.device));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Adapters?.Dispose();
        Network.Dispose();
        Parameters.Dispose();
    }

    private static TrainableModel Build(
        LlamaConfig config, WeightSource weights, FlatParameters parameters, LoraAdapters? adapters, int? equationWidth = null)
    {
        using var noGrad = no_grad();
        var network = new LlamaForCausalLM(config, (name, shape) =>
        {
            if (!parameters.Contains(name))
            {
                var stored = weights(name, shape);
                stored.Tensor?.DetachFromDisposeScope();
                return stored;
            }

            using var scope = NewDisposeScope();
            var view = parameters.View(name).DetachFromDisposeScope();
            view.copy_(weights(name, shape).Dense());
            return view;
        });
        parameters.Attach(network.named_parameters().Select(p => (p.name, p.parameter)));
        return new TrainableModel(network, parameters, adapters, equationWidth);
    }

    private float[] Floats(string name)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return Parameters.View(name).to(ScalarType.Float32).cpu().flatten().data<float>().ToArray();
    }

    private Tensor? Gradient(string name) => Parameters.Contains(name) ? Parameters.GradientView(name).DetachFromDisposeScope() : null;
}
