"""What is captured in each language, as tree-sitter queries.

``d.KIND`` is a definition and ``name`` its name; ``scope`` holds definitions without being one; ``local`` names
something that only its function knows; ``imp`` is a whole import; the others are kinds of references.
"""

from __future__ import annotations

__all__ = ["CPP", "GO", "JAVA", "JAVASCRIPT", "PYTHON", "RUST", "TSX", "TYPESCRIPT", "C"]

PYTHON = """
(function_definition name: (identifier) @name) @d.function
(class_definition name: (identifier) @name) @d.class
(module (expression_statement (assignment left: (identifier) @name) @d.constant))
(module (if_statement (block (expression_statement (assignment left: (identifier) @name) @d.constant))))
(module (try_statement (block (expression_statement (assignment left: (identifier) @name) @d.constant))))
(module (type_alias_statement left: (type (identifier) @name)) @d.type)
(identifier) @read
(attribute attribute: (identifier) @attribute)
(call function: (identifier) @call)
(call function: (attribute attribute: (identifier) @call))
(decorator (identifier) @call)
(decorator (attribute attribute: (identifier) @call))
(type (identifier) @type)
(type (attribute attribute: (identifier) @type))
(type (generic_type (identifier) @type))
(type (binary_operator (identifier) @type))
(type_parameter (type (identifier) @type))
(class_definition superclasses: (argument_list (identifier) @inherit))
(class_definition superclasses: (argument_list (attribute attribute: (identifier) @inherit)))
(class_definition superclasses: (argument_list (subscript value: (identifier) @inherit)))
(import_statement name: (dotted_name (identifier) @import))
(import_statement name: (aliased_import name: (dotted_name (identifier) @import)))
(import_from_statement name: (dotted_name (identifier) @import))
(import_from_statement name: (aliased_import name: (dotted_name (identifier) @import)))
(import_statement) @imp
(import_from_statement) @imp
(keyword_argument name: (identifier) @skip)
(aliased_import alias: (identifier) @skip)
(import_from_statement module_name: (dotted_name (identifier) @skip))
(import_from_statement module_name: (relative_import (dotted_name (identifier) @skip)))
(parameters (identifier) @local)
(parameters (typed_parameter (identifier) @local))
(parameters (default_parameter name: (identifier) @local))
(parameters (typed_default_parameter name: (identifier) @local))
(lambda_parameters (identifier) @local)
(assignment left: (identifier) @local)
(assignment left: (pattern_list (identifier) @local))
(for_statement left: (identifier) @local)
(for_statement left: (pattern_list (identifier) @local))
(for_in_clause left: (identifier) @local)
(for_in_clause left: (pattern_list (identifier) @local))
(as_pattern_target (identifier) @local)
"""

_SCRIPT = """
(function_declaration name: (identifier) @name) @d.function
(generator_function_declaration name: (identifier) @name) @d.function
(method_definition name: (property_identifier) @name) @d.method
(method_definition name: (private_property_identifier) @name) @d.method
(variable_declarator name: (identifier) @name
    value: [(arrow_function) (function_expression) (generator_function)]) @d.function
(program (lexical_declaration (variable_declarator name: (identifier) @name) @d.constant))
(program (variable_declaration (variable_declarator name: (identifier) @name) @d.constant))
(program (export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @d.constant)))
(program (expression_statement (assignment_expression
    left: (member_expression property: (property_identifier) @name)
    right: [(arrow_function) (function_expression) (class)]) @d.function))
(identifier) @read
(shorthand_property_identifier) @read
(member_expression property: (property_identifier) @attribute)
(call_expression function: (identifier) @call)
(call_expression function: (member_expression property: (property_identifier) @call))
(new_expression constructor: (identifier) @call)
(new_expression constructor: (member_expression property: (property_identifier) @call))
(import_specifier name: (identifier) @import)
(import_clause (identifier) @import)
(namespace_import (identifier) @import)
(import_specifier alias: (identifier) @skip)
(export_specifier name: (identifier) @import)
(import_statement) @imp
(export_statement source: (string)) @imp
(call_expression function: (identifier) @_require arguments: (arguments (string)) (#eq? @_require "require")) @imp
(call_expression function: (import) arguments: (arguments (string))) @imp
(variable_declarator name: (identifier) @local)
(arrow_function parameter: (identifier) @local)
(for_in_statement left: (identifier) @local)
(catch_clause parameter: (identifier) @local)
"""

_JSX = """
(jsx_opening_element name: (identifier) @call)
(jsx_self_closing_element name: (identifier) @call)
"""

JAVASCRIPT = (
    _SCRIPT
    + _JSX
    + """
(class_declaration name: (identifier) @name) @d.class
(field_definition property: (property_identifier) @name value: [(arrow_function) (function_expression)]) @d.method
(class_heritage (identifier) @inherit)
(class_heritage (member_expression property: (property_identifier) @inherit))
(formal_parameters (identifier) @local)
(formal_parameters (assignment_pattern left: (identifier) @local))
"""
)

TYPESCRIPT = (
    _SCRIPT
    + """
(class_declaration name: (type_identifier) @name) @d.class
(abstract_class_declaration name: (type_identifier) @name) @d.class
(interface_declaration name: (type_identifier) @name) @d.interface
(type_alias_declaration name: (type_identifier) @name) @d.type
(enum_declaration name: (identifier) @name) @d.enum
(internal_module name: (identifier) @name) @d.module
(function_signature name: (identifier) @name) @d.function
(abstract_method_signature name: (property_identifier) @name) @d.method
(interface_body (method_signature name: (property_identifier) @name) @d.method)
(public_field_definition name: (property_identifier) @name
    value: [(arrow_function) (function_expression)]) @d.method
(type_identifier) @type
(extends_clause value: (identifier) @inherit)
(extends_clause value: (member_expression property: (property_identifier) @inherit))
(extends_type_clause (type_identifier) @inherit)
(extends_type_clause (generic_type name: (type_identifier) @inherit))
(implements_clause (type_identifier) @inherit)
(implements_clause (generic_type name: (type_identifier) @inherit))
(required_parameter pattern: (identifier) @local)
(optional_parameter pattern: (identifier) @local)
"""
)

TSX = TYPESCRIPT + _JSX

GO = """
(function_declaration name: (identifier) @name) @d.function
(method_declaration name: (field_identifier) @name) @d.method
(method_elem name: (field_identifier) @name) @d.method
(type_spec name: (type_identifier) @name type: (struct_type)) @d.struct
(type_spec name: (type_identifier) @name type: (interface_type)) @d.interface
(type_spec name: (type_identifier) @name) @d.type
(type_alias name: (type_identifier) @name) @d.type
(source_file (const_declaration (const_spec name: (identifier) @name) @d.constant))
(source_file (var_declaration (var_spec name: (identifier) @name) @d.constant))
(source_file (var_declaration (var_spec_list (var_spec name: (identifier) @name) @d.constant)))
(identifier) @read
(type_identifier) @type
(selector_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @call)
(call_expression function: (selector_expression field: (field_identifier) @call))
(field_declaration !name type: (type_identifier) @inherit)
(field_declaration !name type: (qualified_type name: (type_identifier) @inherit))
(import_spec) @imp
(parameter_declaration name: (identifier) @local)
(short_var_declaration left: (expression_list (identifier) @local))
(range_clause left: (expression_list (identifier) @local))
(block (statement_list (var_declaration (var_spec name: (identifier) @local))))
(literal_element (identifier) @attribute)
"""

RUST = """
(function_item name: (identifier) @name) @d.function
(function_signature_item name: (identifier) @name) @d.function
(struct_item name: (type_identifier) @name) @d.struct
(union_item name: (type_identifier) @name) @d.struct
(enum_item name: (type_identifier) @name) @d.enum
(trait_item name: (type_identifier) @name) @d.interface
(type_item name: (type_identifier) @name) @d.type
(const_item name: (identifier) @name) @d.constant
(static_item name: (identifier) @name) @d.constant
(macro_definition name: (identifier) @name) @d.macro
(mod_item name: (identifier) @name body: (_)) @d.module
(impl_item) @scope
(identifier) @read
(type_identifier) @type
(field_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @call)
(call_expression function: (field_expression field: (field_identifier) @call))
(call_expression function: (scoped_identifier name: (identifier) @call))
(call_expression function: (generic_function function: (identifier) @call))
(call_expression function: (generic_function function: (scoped_identifier name: (identifier) @call)))
(macro_invocation macro: (identifier) @call)
(macro_invocation macro: (scoped_identifier name: (identifier) @call))
(impl_item trait: (type_identifier) @inherit)
(impl_item trait: (generic_type type: (type_identifier) @inherit))
(impl_item trait: (scoped_type_identifier name: (type_identifier) @inherit))
(use_declaration argument: (scoped_identifier name: (identifier) @import))
(use_list (identifier) @import)
(use_list (scoped_identifier name: (identifier) @import))
(use_as_clause path: (scoped_identifier name: (identifier) @import))
(use_as_clause alias: (identifier) @skip)
(use_declaration) @imp
(mod_item !body) @imp
(mod_item !body name: (identifier) @skip)
(parameter pattern: (identifier) @local)
(let_declaration pattern: (identifier) @local)
(closure_parameters (identifier) @local)
(for_expression pattern: (identifier) @local)
"""

JAVA = """
(class_declaration name: (identifier) @name) @d.class
(record_declaration name: (identifier) @name) @d.class
(interface_declaration name: (identifier) @name) @d.interface
(annotation_type_declaration name: (identifier) @name) @d.interface
(enum_declaration name: (identifier) @name) @d.enum
(method_declaration name: (identifier) @name) @d.method
(constructor_declaration name: (identifier) @name) @d.method
(field_declaration (modifiers "static") declarator: (variable_declarator name: (identifier) @name)) @d.constant
(identifier) @read
(type_identifier) @type
(field_access field: (identifier) @attribute)
(method_invocation name: (identifier) @call)
(object_creation_expression type: (type_identifier) @call)
(object_creation_expression type: (generic_type (type_identifier) @call))
(marker_annotation name: (identifier) @call)
(annotation name: (identifier) @call)
(superclass (type_identifier) @inherit)
(superclass (generic_type (type_identifier) @inherit))
(super_interfaces (type_list (type_identifier) @inherit))
(super_interfaces (type_list (generic_type (type_identifier) @inherit)))
(extends_interfaces (type_list (type_identifier) @inherit))
(extends_interfaces (type_list (generic_type (type_identifier) @inherit)))
(import_declaration) @imp
(import_declaration (scoped_identifier name: (identifier) @import))
(import_declaration (scoped_identifier scope: (scoped_identifier name: (identifier) @skip)))
(package_declaration (scoped_identifier name: (identifier) @skip))
(formal_parameter name: (identifier) @local)
(local_variable_declaration declarator: (variable_declarator name: (identifier) @local))
(enhanced_for_statement name: (identifier) @local)
(lambda_expression parameters: (identifier) @local)
(inferred_parameters (identifier) @local)
(catch_formal_parameter name: (identifier) @local)
"""

_C = """
(function_definition declarator: (function_declarator declarator: (identifier) @name)) @d.function
(function_definition declarator: (pointer_declarator
    declarator: (function_declarator declarator: (identifier) @name))) @d.function
(function_definition declarator: (pointer_declarator declarator: (pointer_declarator
    declarator: (function_declarator declarator: (identifier) @name)))) @d.function
(declaration declarator: (function_declarator declarator: (identifier) @name)) @d.declaration
(declaration declarator: (pointer_declarator
    declarator: (function_declarator declarator: (identifier) @name))) @d.declaration
(struct_specifier name: (type_identifier) @name body: (_)) @d.struct
(union_specifier name: (type_identifier) @name body: (_)) @d.struct
(enum_specifier name: (type_identifier) @name body: (_)) @d.enum
(enumerator name: (identifier) @name) @d.constant
(type_definition declarator: (type_identifier) @name) @d.type
(type_definition declarator: (function_declarator declarator: (parenthesized_declarator
    (pointer_declarator declarator: (type_identifier) @name)))) @d.type
(preproc_def name: (identifier) @name) @d.macro
(preproc_function_def name: (identifier) @name) @d.macro
(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @name)) @d.constant)
(translation_unit (declaration declarator: (init_declarator
    declarator: (array_declarator declarator: (identifier) @name))) @d.constant)
(translation_unit (declaration declarator: (init_declarator
    declarator: (pointer_declarator declarator: (identifier) @name))) @d.constant)
(identifier) @read
(type_identifier) @type
(field_expression field: (field_identifier) @attribute)
(call_expression function: (identifier) @call)
(call_expression function: (field_expression field: (field_identifier) @call))
(preproc_include) @imp
(parameter_declaration declarator: (identifier) @local)
(parameter_declaration declarator: (pointer_declarator declarator: (identifier) @local))
(compound_statement (declaration declarator: (identifier) @local))
(compound_statement (declaration declarator: (init_declarator declarator: (identifier) @local)))
(compound_statement (declaration declarator: (init_declarator
    declarator: (pointer_declarator declarator: (identifier) @local))))
"""

C = _C

CPP = (
    _C
    + """
(class_specifier name: (type_identifier) @name body: (_)) @d.class
(namespace_definition name: (namespace_identifier) @name) @d.module
(alias_declaration name: (type_identifier) @name) @d.type
(function_definition declarator: (function_declarator declarator: (field_identifier) @name)) @d.method
(function_definition declarator: (pointer_declarator
    declarator: (function_declarator declarator: (field_identifier) @name))) @d.method
(function_definition declarator: (reference_declarator
    (function_declarator declarator: (field_identifier) @name))) @d.method
(function_definition declarator: (reference_declarator
    (function_declarator declarator: (identifier) @name))) @d.function
(function_definition declarator: (function_declarator declarator: (qualified_identifier) @name)) @d.method
(function_definition declarator: (pointer_declarator
    declarator: (function_declarator declarator: (qualified_identifier) @name))) @d.method
(function_definition declarator: (reference_declarator
    (function_declarator declarator: (qualified_identifier) @name))) @d.method
(function_definition declarator: (function_declarator declarator: (destructor_name) @name)) @d.method
(function_definition declarator: (function_declarator declarator: (operator_name) @name)) @d.method
(field_declaration declarator: (function_declarator declarator: (field_identifier) @name)) @d.declaration
(call_expression function: (qualified_identifier name: (identifier) @call))
(call_expression function: (qualified_identifier name: (qualified_identifier name: (identifier) @call)))
(call_expression function: (template_function name: (identifier) @call))
(call_expression function: (qualified_identifier name: (template_function name: (identifier) @call)))
(new_expression type: (type_identifier) @call)
(base_class_clause (type_identifier) @inherit)
(base_class_clause (template_type name: (type_identifier) @inherit))
(base_class_clause (qualified_identifier name: (type_identifier) @inherit))
(for_range_loop declarator: (identifier) @local)
"""
)
