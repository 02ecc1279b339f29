using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Hardware;
using CutoffLen.Models;
using CutoffLen.Positions;
using Serilog;

namespace CutoffLen.Cli;

/// <summary>A checkpoint opened for a verb that runs its model: where it runs, and under which position method.</summary>
internal sealed class ModelSession : IDisposable
{
    private readonly ParseResult parsed;

    private ModelSession(ParseResult parsed, HuggingFaceCheckpoint checkpoint, Compute compute) =>
        (this.parsed, Checkpoint, Compute) = (parsed, checkpoint, compute);

    /// <summary>The checkpoint.</summary>
    public HuggingFaceCheckpoint Checkpoint { get; }

    /// <summary>Device and dtype.</summary>
    public Compute Compute { get; }

    /// <summary>Opens what <c>--model</c>, <c>--device</c>, <c>--dtype</c> and <c>--threads</c> say; reads no weights yet.</summary>
    public static ModelSession Open(ParseResult parsed)
    {
        var checkpoint = HuggingFaceCheckpoint.Open(parsed.GetValue(CommonOptions.Model)!);
        var compute = Compute.Choose(parsed.GetValue(CommonOptions.Device)!, parsed.GetValue(CommonOptions.Dtype)!);
        CpuThreads.Use(parsed.GetValue(CommonOptions.Threads));
        return new ModelSession(parsed, checkpoint, compute);
    }

    /// <summary>Loads the model under <c>--rope</c> and logs the proof that the method is applied.</summary>
    /// <param name="targetLength">Tokens that a missing factor is made for.</param>
    public PositionedModel Load(int targetLength)
    {
        var spec = PositionSpec.Parse(parsed.GetValue(CommonOptions.Rope)!);
        var model = PositionedModel.Load(Checkpoint, spec, targetLength, Compute.Device, Compute.Dtype);
        Log.Information(
            "{Device} {Dtype}, positions {Spec}: tables {Hash}, logits up to {Difference:0.###} from vanilla RoPE's",
            Compute.DeviceName, Compute.DtypeName, model.Proof.Spec, model.Proof.Hash, model.LargestLogitDifference);
        return model;
    }

    /// <inheritdoc/>
    public void Dispose() => Checkpoint.Dispose();
}

/// <summary>What JSON results say about the run of a model.</summary>
internal sealed record ModelRun(string Model, string Device, string Dtype, string Rope, string Tables, string VanillaTables, double LargestLogitDifference)
{
    public ModelRun(ModelSession session, PositionedModel model)
        : this(
            session.Checkpoint.Folder,
            session.Compute.DeviceName,
            session.Compute.DtypeName,
            model.Proof.Spec,
            model.Proof.Hash,
            model.Proof.VanillaHash,
            model.LargestLogitDifference) { }
}
