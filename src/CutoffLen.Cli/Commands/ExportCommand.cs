using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Cli.Options;
using Serilog;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff export</c>: a checkpoint in another program's format.</summary>
internal static class ExportCommand
{
    private static readonly Option<string> Format = CommonOptions.Word("--format", "The format: gguf, which llama.cpp reads.", "FORMAT", "gguf");

    private static readonly Option<string> Type = CommonOptions.Word(
        "--type", "Element type of the matrices; auto is the stored one. Vectors are float32.", "TYPE", "auto", "f32", "f16", "bf16", "q8_0");

    private static readonly Option<string> Out = new("--out", "-o") { Description = "The file to create or replace.", HelpName = "FILE", Required = true };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("export", "Write a checkpoint as a GGUF file for llama.cpp, with its tokenizer and its position method.")
        {
            CommonOptions.Model, Format, Type, Out, CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var report = GgufExport.Write(parsed.Hub(stop).Model(parsed.GetValue(CommonOptions.Model)!, withBase: false), parsed.GetValue(Out)!, TypeOf(parsed.GetValue(Type)!), stop);
            foreach (var note in report.Notes)
            {
                Log.Warning("{Note:l}", note);
            }

            parsed.Print(report, _ =>
            [
                ("file", FormattableString.Invariant($"{parsed.GetValue(Out)}, {report.Bytes:N0} bytes")),
                ("architecture", FormattableString.Invariant($"{report.Architecture}, {report.Tensors} tensors, matrices in {report.Type}")),
                ("positions", $"{report.Method}: {report.Positions}"),
                ("tokenizer", report.Tokenizer ?? "none"),
            ]);
        });

    private static GgufType? TypeOf(string name) => name switch
    {
        "f32" => GgufType.F32,
        "f16" => GgufType.F16,
        "bf16" => GgufType.BF16,
        "q8_0" => GgufType.Q8,
        _ => null,
    };
}
