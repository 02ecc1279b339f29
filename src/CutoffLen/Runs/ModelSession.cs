using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Hardware;
using CutoffLen.Models;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>An open model: its folder, device and dtype, and its network, whose weights are read when it is first used.</summary>
public sealed class ModelSession : IDisposable
{
    private readonly string attention;
    private Lazy<LlamaForCausalLM> network;

    private ModelSession(ModelFolder folder, DeviceAndDtype compute, string attention)
    {
        (Folder, Compute, this.attention) = (folder, compute, attention);
        network = Unread();
    }

    /// <summary>The checkpoint, or the adapters on their base.</summary>
    public ModelFolder Folder { get; }

    /// <summary>Device and dtype.</summary>
    public DeviceAndDtype Compute { get; }

    /// <summary>The network; its weights are read at the first call.</summary>
    public LlamaForCausalLM Network => network.Value;

    /// <summary>Opens a folder.</summary>
    /// <param name="folder">A checkpoint, or adapters.</param>
    /// <param name="compute">Device and dtype; null for auto.</param>
    /// <param name="attention">auto, sdpa or blocked.</param>
    /// <exception cref="UserException">All that is wrong with the folder, one line each.</exception>
    public static ModelSession Open(string folder, DeviceAndDtype? compute = null, string attention = AttentionChoice.Auto) =>
        Open(folder, () => compute ?? DeviceAndDtype.Choose(), attention);

    /// <summary>Opens a folder. What is wrong with it is said before device and dtype are chosen, which loads libtorch.</summary>
    /// <param name="folder">A checkpoint, or adapters.</param>
    /// <param name="compute">Chooses device and dtype.</param>
    /// <param name="attention">auto, sdpa or blocked.</param>
    /// <exception cref="UserException">All that is wrong with the folder, one line each.</exception>
    public static ModelSession Open(string folder, Func<DeviceAndDtype> compute, string attention)
    {
        var opened = ModelFolder.Open(folder);
        try
        {
            return new ModelSession(opened, compute(), attention);
        }
        catch (UserException)
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Puts the network under a position method and logs the proof that it is applied.</summary>
    public PositionedModel Under(PositionSetup positions)
    {
        var choice = AttentionChoice.Of(attention, positions.Layers, Network.Config, Network.Device, Network.Dtype, positions.TargetLength);
        var model = new PositionedModel(Network, positions, choice);
        LogProof(Folder.Name, Compute, model);
        LogAttention(model.Attention);
        return model;
    }

    /// <summary>Answers of a model that <see cref="Under"/> made.</summary>
    /// <param name="model">The model.</param>
    /// <param name="log">Keeps the answers.</param>
    /// <param name="ranks">The ranks that share the prompts; null for one.</param>
    /// <param name="stop">Stops it between rounds of prompts.</param>
    public SharedAnswers Answers(PositionedModel model, ResultLog log, ICollectives? ranks = null, CancellationToken stop = default) =>
        new(RunKey.Of(Folder.Identity, model.Spec, model.Model.Dtype, model.Model.Device, batchTokens: 0), log, ranks, stop);

    /// <summary>Logs the proof that a method is applied.</summary>
    public static void LogProof(string name, DeviceAndDtype compute, PositionedModel model) => Log.Information(
        "{Model:l} on {Device:l} in {Dtype:l}, positions {Spec:l}: tables {Hash:l} (vanilla {Vanilla:l}), logits up to {Difference:l} from vanilla's",
        name, compute.DeviceName, compute.DtypeName, model.Proof.Spec, model.Proof.Hash, model.Proof.VanillaHash, $"{model.LargestLogitDifference:g4}");

    /// <summary>Logs what computes attention, and why.</summary>
    public static void LogAttention(AttentionChoice choice) => Log.Information(
        "attention: {Path:l} ({Reason:l})", choice.Path.ToString().ToLowerInvariant(), choice.Reason);

    /// <summary>Gives the memory of the weights back; the next use reads them again.</summary>
    public void Unload()
    {
        if (network.IsValueCreated)
        {
            network.Value.Dispose();
            network = Unread();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Unload();
        Folder.Dispose();
    }

    private Lazy<LlamaForCausalLM> Unread() => new(() => Folder.Load(Compute.Device, Compute.Dtype));
}
