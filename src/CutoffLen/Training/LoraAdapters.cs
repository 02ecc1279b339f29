using CutoffLen.Checkpoints;
using CutoffLen.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Training;

/// <summary>
/// Low-rank adapters on a model's projections (Hu et al., arXiv 2106.09685): y = x W^T + scale * drop(x) A^T B^T. Parameters
/// have PEFT's names without its prefix: <c>model.layers.0.self_attn.q_proj.lora_A.weight</c>.
/// </summary>
public sealed class LoraAdapters : IDisposable
{
    private const string A = ".lora_A.weight";
    private const string B = ".lora_B.weight";

    private readonly long seed;
    private readonly List<(string Projection, long[] A, long[] B)> places = [];
    private readonly List<ParameterShape> saved = [];
    private readonly List<LoraAdapter> attached = [];

    /// <summary>Finds the places in a model.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="adapters">Which modules get adapters or are trained whole.</param>
    /// <param name="seed">Of the first values and of dropout.</param>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public LoraAdapters(LlamaConfig config, AdapterConfig adapters, long seed)
    {
        (Config, this.seed, Dropout) = (adapters, seed, new LoraDropout(adapters.LoraDropout, seed));
        foreach (var (name, shape) in LlamaParameters.Of(config))
        {
            var module = name[..name.LastIndexOf('.')];
            var last = module[(module.LastIndexOf('.') + 1)..];
            if (adapters.ModulesToSave.Contains(last))
            {
                saved.Add(new ParameterShape(name, shape));
            }
            else if (adapters.TargetModules.Contains(last) && shape.Length == 2)
            {
                places.Add((module, [adapters.R, shape[1]], [shape[0], adapters.R]));
            }
        }

        CheckFound("lora_target_modules", adapters.TargetModules, places.Select(place => place.Projection));
        CheckFound("modules_to_save", adapters.ModulesToSave, saved.Select(p => p.Name[..p.Name.LastIndexOf('.')]));
    }

    /// <summary>Rank, scale, modules.</summary>
    public AdapterConfig Config { get; }

    /// <summary>Dropout of the adapters' inputs.</summary>
    public LoraDropout Dropout { get; }

    /// <summary>What is trained: all A, all B (faster under LoRA+), and the modules that are trained whole.</summary>
    public IReadOnlyList<ParameterGroup> Groups(double learningRateRatio) =>
    [
        new("lora_A", [.. places.Select(p => new ParameterShape(p.Projection + A, p.A))], WeightDecays: true),
        new("lora_B", [.. places.Select(p => new ParameterShape(p.Projection + B, p.B))], WeightDecays: true, learningRateRatio),
        .. ParameterGroup.ByShape(saved),
    ];

    /// <summary>
    /// Hooks the adapters into a network and gives them their first values: A uniform as PEFT draws it (kaiming with
    /// a = sqrt(5)), B zero, so that nothing changes yet.
    /// </summary>
    public void AttachTo(Llama network, FlatParameters parameters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var projections = network.named_modules().Where(m => m.module is CutoffLen.Models.Linear).ToDictionary(m => m.name, m => (CutoffLen.Models.Linear)m.module);
        for (var n = 0; n < places.Count; n++)
        {
            var name = places[n].Projection;
            parameters.View(name + A).copy_(FirstA(places[n].A, n));
            parameters.View(name + B).zero_();
            var adapter = new LoraAdapter(Trained(parameters, name + A), Trained(parameters, name + B), Config.Scale, Dropout, n);
            projections[name].Adapter = adapter;
            attached.Add(adapter);
        }
    }

    /// <summary>What an adapter adds to a weight, scale * B A, [out, in] float32; null for weights without an adapter.</summary>
    /// <param name="parameters">The adapters' values.</param>
    /// <param name="weight">The weight's name.</param>
    public Tensor? Delta(FlatParameters parameters, string weight)
    {
        var projection = weight[..weight.LastIndexOf('.')];
        if (!weight.EndsWith(".weight", StringComparison.Ordinal) || !parameters.Contains(projection + A))
        {
            return null;
        }

        var (a, b) = (parameters.View(projection + A), parameters.View(projection + B));
        return b.to(ScalarType.Float32).matmul(a.to(ScalarType.Float32)) * Config.Scale;
    }

    /// <inheritdoc/>
    public void Dispose() => attached.ForEach(adapter => adapter.Dispose());

    private Tensor FirstA(long[] shape, int adapter)
    {
        using var generator = new Generator(new KeyedRandom(seed, "lora-init", adapter).NextBits() >> 1);
        return (rand(shape, ScalarType.Float32, generator: generator) * 2 - 1) / Math.Sqrt(shape[1]);
    }

    private static Parameter Trained(FlatParameters parameters, string name)
    {
        var parameter = new Parameter(parameters.View(name).DetachFromDisposeScope(), requires_grad: false);
        parameters.Attach([(name, parameter)]);
        return parameter;
    }

    private static void CheckFound(string key, IReadOnlyList<string> wanted, IEnumerable<string> found)
    {
        var names = found.Select(name => name[(name.LastIndexOf('.') + 1)..]).ToHashSet();
        if (wanted.Where(name => !names.Contains(name)).ToList() is { Count: > 0 } missing)
        {
            throw new UserException(
                $"{key}: this model has no {string.Join(", ", missing)} to train{(missing.Contains("lm_head") ? " (its head is the embedding: name embed_tokens)" : "")}");
        }
    }

    /// <summary>The adapter of one projection.</summary>
    private sealed class LoraAdapter : Module<Tensor, Tensor>
    {
        private readonly Parameter a; // [r, in]
        private readonly Parameter b; // [out, r]
        private readonly double scale;
        private readonly LoraDropout dropout;
        private readonly int number;

        public LoraAdapter(Parameter a, Parameter b, double scale, LoraDropout dropout, int number)
            : base(nameof(LoraAdapter))
        {
            (this.a, this.b, this.scale, this.dropout, this.number) = (a, b, scale, dropout, number);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => linear(linear(dropout.Apply(x, number), a), b) * scale;
    }
}
